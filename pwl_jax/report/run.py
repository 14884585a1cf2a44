"""What a workdir holds: results where they were made, or else what there is.

A run that was not evaluated has what its stages wrote: the held-out accuracy
of its networks, the curves, the config. It takes the form of results without
the parts that are missing, and says which they are.
"""

import json
import math
import pathlib
from typing import Any, NamedTuple

from pwl_jax.report import results as schema
from pwl_jax.report.results import Results

REPORT = "report"
RESULTS = "results.json"
METRICS = "metrics.jsonl"
NETWORK_OF = {"distill": "student"}  # The others are named like their stage.

Line = dict[str, float]


class Run(NamedTuple):
  """One run, as far as it has come."""

  name: str
  workdir: pathlib.Path
  results: Results
  curves: dict[str, list[Line]]  # stage -> what it reported, by steps
  evaluated: bool


def read(workdir: pathlib.Path) -> Run:
  """Raises where there is no run, or its results are damaged."""
  if not workdir.is_dir():
    raise FileNotFoundError(
      f"{workdir} is no directory; give the --workdir of a run"
    )
  curves = {
    stage: lines
    for stage in schema.STAGES
    if (lines := read_curve(workdir / stage / METRICS))
  }
  path = workdir / REPORT / RESULTS
  evaluated = path.exists()
  if evaluated:
    results = schema.read(path)
    results["absent"] |= _outdated(workdir, results)
  else:
    results = _without_evaluation(workdir, curves)
  name = workdir.absolute().name
  return Run(name, workdir, results, curves, evaluated)


def read_curve(path: pathlib.Path) -> list[Line]:
  """The lines that are whole; the last may be cut short in a running stage."""
  if not path.exists():
    return []
  lines = []
  for text in path.read_text(errors="replace").splitlines():
    try:
      line = json.loads(text)
    except ValueError:
      continue
    if isinstance(line, dict) and _is_number(line.get("step")):
      lines.append({k: v for k, v in line.items() if _is_number(v)})
  return lines


def _is_number(value: Any) -> bool:
  """NaN is none: a curve has a gap there."""
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  return is_number and math.isfinite(value)


def _without_evaluation(
  workdir: pathlib.Path, curves: dict[str, list[Line]]
) -> Results:
  """The form of results, with what the stages left."""
  stages = {}
  for stage in schema.STAGES:
    found = _read_object(workdir / stage / "result.json")
    if found:
      stages[stage] = found
  if not (stages or curves):
    raise FileNotFoundError(
      f"{workdir} holds no run: neither {REPORT}/{RESULTS} nor a stage that "
      "has begun; give the --workdir of a run"
    )
  config = _read_object(workdir / "config.json")
  absent = {
    "evaluate": "Compositions and ladders are not measured yet; the same "
    "command makes them with --config.stages=evaluate, once the stages before "
    "it are complete."
  }
  for stage in schema.STAGES:
    if stage not in stages:
      absent[stage] = _why_absent(curves.get(stage))
  networks = {
    NETWORK_OF.get(stage, stage): _network(found["valid"])
    for stage, found in stages.items()
    if _is_number((found.get("valid") or {}).get("accuracy"))
  }
  nothing = {name: kind() for name, kind in schema.PARTS.items()}
  return {
    **nothing,
    **dict.fromkeys(schema.EXTRAS),
    "schema": schema.SCHEMA,
    "config": config,
    "data": {"name": config.get("data.name", "unknown data")},
    "absent": absent,
    "stages": stages,
    "networks": networks,
  }


def _why_absent(curve: list[Line] | None) -> str:
  if curve:
    step = curve[-1]["step"]
    return (
      f"In training, or interrupted; it last reported at step {step:,.0f}. "
      "The command of the run goes on from its checkpoint."
    )
  return "Not begun; the command of the run makes it."


def _network(valid: dict[str, float]) -> dict[str, Any]:
  """Held-out accuracy is all that training measures, and without its count."""
  score = {
    "count": None,
    "top1": valid["accuracy"],
    "top5": None,
    "loss": valid.get("loss"),
    "interval": None,
  }
  sizes = dict.fromkeys(("parameters", "bytes", "flops"))
  return sizes | {"valid": score, "test": None}


def _outdated(workdir: pathlib.Path, results: Results) -> dict[str, str]:
  """Stages that were made anew after they were evaluated."""
  found = {}
  for stage, then in results["stages"].items():
    now = _read_object(workdir / stage / "result.json").get("digest")
    if now and then.get("digest") and now != then["digest"]:
      found[f"evaluation of this {stage}"] = (
        f"{stage} was made anew after these results; run "
        "--config.stages=evaluate again."
      )
  return found


def _read_object(path: pathlib.Path) -> dict[str, Any]:
  """A JSON object, or an empty one where there is none to read."""
  try:
    found = json.loads(path.read_text())
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}
