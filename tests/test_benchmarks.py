"""That the benchmarks run; what they measure is not for tests."""

import json

import pytest

from benchmarks import cold_start, evaluation, step


def test_a_step_is_measured_by_case(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(step, "AUGMENT", {})
  path = tmp_path / "figures.json"
  step.main(
    [
      *("--preset=tiny_resnet", "--batch_size=16", "--rounds=2"),
      *("--cases=student_plain", f"--json={path}"),
    ]
  )
  found = json.loads(path.read_text())
  assert list(found) == ["student_kd", "student_plain"]
  for figures in found.values():
    assert 0 < figures["best_ms"] <= figures["median_ms"]
  assert "student_plain" in capsys.readouterr().out
  with pytest.raises(ValueError, match="unknown case 'teachr'"):
    step.main(["--preset=tiny_resnet", "--cases=teachr"])


def test_the_tree_is_measured_beside_one_by_one(tmp_path, capsys):
  path = tmp_path / "figures.json"
  evaluation.main(
    ["--preset=tiny_vgg", "--batch_size=4", "--rounds=1", f"--json={path}"]
  )
  assert list(json.loads(path.read_text())) == ["one by one", "tree"]
  assert "to one by one" in capsys.readouterr().out


def test_a_cold_start_is_measured(tmp_path, monkeypatch, capsys):
  monkeypatch.setenv("PWL_JAX_CACHE", str(tmp_path / "programs"))
  cold_start.main(
    [
      *("--preset=tiny_vgg", "--rounds=1", "--store=safetensors"),
      f"--json={tmp_path / 'figures.json'}",
    ]
  )
  found = json.loads((tmp_path / "figures.json").read_text())
  assert list(found) == ["teacher", "student", "student, then all"]
  assert "import jax" in capsys.readouterr().out
