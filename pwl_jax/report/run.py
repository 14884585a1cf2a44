"""What a workdir holds: results where they were made, or else what there is.

A run that was not evaluated has what its stages wrote: the held-out accuracy
of its networks, the curves, the config. It takes the form of results without
the parts that are missing, and says which they are.
"""

import json
import pathlib
from typing import Any, NamedTuple

from pwl_jax.report import precisions, served, stages
from pwl_jax.report import results as written
from pwl_jax.report.forms import is_number
from pwl_jax.report.precisions import Compared
from pwl_jax.report.results import STAGES, Results
from pwl_jax.report.schema import nothing
from pwl_jax.report.served import Served

REPORT = "report"
RESULTS = "results.json"
NETWORK_OF = {"distill": "student"}  # The others are named like their stage.

# Files of their own, which need not be there: how a bundle was served, and what
# fewer bits come to.
BESIDE = {"served": served, "precisions": precisions}

Line = dict[str, float]


class Run(NamedTuple):
  """One run, as far as it has come."""

  name: str
  workdir: pathlib.Path
  results: Results
  curves: dict[str, list[Line]]  # stage -> what it reported, by steps
  evaluated: bool
  served: Served | None = None  # As its bundle was played last.
  precisions: Compared | None = None


def read(workdir: pathlib.Path) -> Run:
  """Raises where there is no run, or its results are damaged."""
  if not workdir.is_dir():
    raise FileNotFoundError(
      f"{workdir} is no directory; give the --workdir of a run"
    )
  curves = {
    stage: lines
    for stage in STAGES
    if (lines := read_curve(workdir / stage / stages.METRICS))
  }
  path = workdir / REPORT / RESULTS
  evaluated = path.exists()
  if evaluated:
    results = written.read(path)
    absent = results["absent"] | stages.outdated(workdir, results)
    results = {**results, "absent": absent}
  else:
    results = _without_evaluation(workdir, curves)
  name = workdir.absolute().name
  beside: dict[str, Any] = {}
  absent = dict(results["absent"])
  for what, module in BESIDE.items():
    path = workdir / REPORT / module.NAME
    try:
      if path.exists():
        beside[what] = module.of_run(workdir, path)
    except (ValueError, OSError) as error:
      absent[path.stem] = f"{error}."
  results = {**results, "absent": absent}
  return Run(name, workdir, results, curves, evaluated, **beside)


def read_curve(path: pathlib.Path) -> list[Line]:
  """The lines that are whole; the last may be cut short in a running stage.

  What is no number, as after a loss that diverged, is a gap.
  """
  if not path.exists():
    return []
  lines = []
  for text in path.read_text(errors="replace").splitlines():
    try:
      line = json.loads(text)
    except (ValueError, RecursionError):
      continue
    if isinstance(line, dict) and is_number(line.get("step")):
      lines.append({k: v for k, v in line.items() if is_number(v)})
  return lines


def _without_evaluation(
  workdir: pathlib.Path, curves: dict[str, list[Line]]
) -> Results:
  """The form of results, with what the stages left."""
  there = stages.complete(workdir)
  if not (there or curves):
    raise FileNotFoundError(
      f"{workdir} holds no run: neither {REPORT}/{RESULTS} nor a stage that "
      "has begun; give the --workdir of a run"
    )
  config = stages.read_object(workdir / stages.CONFIG)
  current = {name: stage for name, stage in there.items() if stage.is_current}
  absent = {
    "evaluate": "Compositions and ladders are not measured yet; the same "
    "command makes them with --config.stages=evaluate, once the stages before "
    "it are complete."
  }
  for stage in STAGES:
    if stage not in current:
      step = curves[stage][-1]["step"] if stage in curves else 0
      absent[stage] = stages.why_absent(workdir, stage, there, step)
  return {
    **nothing(),
    "schema": written.SCHEMA,
    "config": config,
    "data": {"name": str(config.get("data.name", "unknown data"))},
    "absent": absent,
    "stages": {
      name: {"steps": stage.steps, "seconds": stage.seconds}
      for name, stage in current.items()
    },
    "networks": {
      NETWORK_OF.get(name, name): _network(stage)
      for name, stage in current.items()
      if stage.accuracy is not None
    },
  }


def _network(stage: stages.Stage) -> dict[str, Any]:
  """Held-out accuracy is all that training measures, and without its count."""
  score = {
    "count": None,
    "top1": stage.accuracy,
    "top5": None,
    "loss": stage.loss,
    "interval": None,
  }
  sizes = dict.fromkeys(("parameters", "bytes", "flops"))
  return sizes | {"valid": score, "test": None}
