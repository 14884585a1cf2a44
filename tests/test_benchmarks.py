"""That the benchmarks run; what they measure is not for tests."""

import json

import pytest

from benchmarks import bundles, cold_start, evaluation, reads, step, swap


@pytest.mark.parametrize("preset", ["tiny_resnet", "tiny_text"])
def test_a_step_is_measured_by_case(tmp_path, monkeypatch, capsys, preset):
  monkeypatch.setattr(step, "AUGMENT", {})
  path = tmp_path / "figures.json"
  step.main(
    [
      *(f"--preset={preset}", "--batch_size=16", "--rounds=2"),
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


@pytest.mark.parametrize("preset", ["tiny_vgg", "tiny_text", "tiny_audio"])
def test_a_cold_start_is_measured(tmp_path, monkeypatch, capsys, preset):
  monkeypatch.setenv("PWL_JAX_CACHE", str(tmp_path / "programs"))
  cold_start.main(
    [
      *(f"--preset={preset}", "--rounds=1", "--store=safetensors"),
      f"--json={tmp_path / 'figures.json'}",
    ]
  )
  found = json.loads((tmp_path / "figures.json").read_text())
  assert list(found) == ["teacher", "student", "student, then all"]
  assert "import jax" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["tiny_vgg", "tiny_text"])
def test_swaps_are_measured(tmp_path, monkeypatch, capsys, preset):
  monkeypatch.setattr(swap, "QUIET_SECONDS", 0.01)
  path = tmp_path / "figures.json"
  swap.main(
    [
      *(f"--preset={preset}", "--cycles=4", "--store=safetensors"),
      *("--threads=2", f"--json={path}"),
    ]
  )
  found = json.loads(path.read_text())
  assert found["wrong"] == 0 == found["failed_requests"]
  assert found["changing"]["all"]["requests"] > 0
  assert len(found["held"]) == 1 + swap.PARTS
  assert "wrong answers 0, failed requests 0" in capsys.readouterr().out


def test_requests_that_fail_are_counted():
  class Failing:
    def pinned(self):
      raise RuntimeError("no")

  with swap.Load(Failing(), None, 1, print) as load:
    while not load.failed:
      pass
  assert not load.milliseconds


def test_another_bundle_than_was_named_is_refused(tmp_path):
  bundles.make_bundle("tiny_vgg", tmp_path / "b", store="safetensors")
  with pytest.raises(ValueError, match="is of tiny_vgg in safetensors"):
    bundles.make_bundle("tiny_vit", tmp_path / "b", store="safetensors")


def test_reads_are_measured(tmp_path, capsys):
  path = tmp_path / "figures.json"
  reads.main(["--megabytes=1", "--rounds=1", f"--json={path}"])
  found = json.loads(path.read_text())
  assert list(found) == ["read() and sha256", "orbax", "safetensors"]
