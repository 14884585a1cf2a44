"""That the benchmarks run; what they measure is not for tests."""

import json

import pytest

from benchmarks import step


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
