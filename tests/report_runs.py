"""Workdirs as the stages of a run leave them, without what was trained."""

import json
import pathlib

from report_cases import make_results


def write_run(workdir: pathlib.Path, results=None, *, steps=600):
  """A workdir as the stages leave it; without results it is not evaluated."""
  for stage in ("teacher", "student_plain", "student_kd", "distill"):
    write_stage(workdir, stage, steps=steps)
  config = (results or make_results())["config"]
  (workdir / "config.json").write_text(json.dumps(config))
  if results is not None:
    (workdir / "report").mkdir()
    (workdir / "report" / "results.json").write_text(json.dumps(results))
    write_evaluation(workdir, results)
  return workdir


def write_evaluation(workdir: pathlib.Path, results):
  """What the evaluate stage leaves last."""
  digests = {name: made["digest"] for name, made in results["stages"].items()}
  (workdir / "evaluate").mkdir(exist_ok=True)
  text = json.dumps({"of": {"stages": digests, "fields": {}}})
  (workdir / "evaluate" / "result.json").write_text(text)


def write_stage(workdir: pathlib.Path, stage: str, *, steps=600):
  (workdir / stage / "variables").mkdir(parents=True)
  lines = []
  for step in range(50, steps + 1, 50):
    parts = {"step": step, "accuracy": 1 - 20 / step, "loss": 100 / step}
    if stage in ("student_kd", "distill"):
      parts |= {"hard": 30 / step, "soft": 50 / step}
      others = 20 / step if stage == "distill" else 0.0
      names = ("feature", "reconstruction", "cross")
      parts |= dict.fromkeys(names, others)
    lines.append({**parts, "seconds": step / 50})
    if step % 100 == 0:
      held = {"valid_accuracy": 1 - 25 / step, "valid_loss": 90 / step}
      lines.append({"step": step, **held})
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (workdir / stage / "metrics.jsonl").write_text(text)
  result = {"steps": steps, "kept_step": steps, "seconds": 12.5}
  result |= {"valid": {"accuracy": 0.93, "loss": 0.2}, "digest": stage}
  (workdir / stage / "result.json").write_text(json.dumps(result))


def make_run(path, units=2, *, seed=0, **config):
  fields = {"seed": seed} | config
  found = make_results(units, seed=seed, config=fields)
  return write_run(path, found)
