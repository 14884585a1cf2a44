"""What the stages of a run have left, and whether it is what was evaluated.

The pipeline decides what is complete and what belongs together by the same
files: `result.json` with its digest, and the teacher's digest in `config.json`.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pwl_jax.report import phrases
from pwl_jax.report.forms import is_amount, is_share, is_whole
from pwl_jax.report.results import STAGES, Results

RESULT, METRICS, CONFIG = "result.json", "metrics.jsonl", "config.json"
VARIABLES = "variables"
EVALUATION = "evaluate"
NEED_TEACHER = ("student_kd", "distill")
TEACHER = "teacher.digest"  # In the config of those.

AGAIN = "run --config.stages=evaluate again."


class Stage(NamedTuple):
  """One that is complete."""

  digest: str | None
  steps: int | None
  seconds: float
  accuracy: float | None  # On held-out examples.
  loss: float | None
  is_current: bool  # Of the teacher that is there, if it needs one.


def complete(workdir: pathlib.Path) -> dict[str, Stage]:
  """In their order; what is damaged in them is taken for unknown."""
  found = {
    name: read_object(workdir / name / RESULT)
    for name in STAGES
    if (workdir / name / VARIABLES).exists()
  }
  found = {name: result for name, result in found.items() if result}
  teacher = found.get("teacher", {}).get("digest")
  return {
    name: _stage(result, _taught_by(workdir / name, name) in (None, teacher))
    for name, result in found.items()
  }


def _taught_by(directory: pathlib.Path, name: str) -> str | None:
  if name not in NEED_TEACHER:
    return None
  return read_object(directory / CONFIG).get(TEACHER)


def _stage(result: Mapping[str, Any], is_current: bool) -> Stage:
  valid = result.get("valid")
  valid = valid if isinstance(valid, dict) else {}
  accuracy, loss = valid.get("accuracy"), valid.get("loss")
  digest, steps = result.get("digest"), result.get("steps")
  seconds = result.get("seconds")
  return Stage(
    digest=digest if isinstance(digest, str) else None,
    steps=steps if is_whole(steps) else None,
    seconds=seconds if is_amount(seconds) else 0.0,
    accuracy=accuracy if is_share(accuracy) else None,
    loss=loss if is_amount(loss) else None,
    is_current=is_current,
  )


def why_absent(
  workdir: pathlib.Path, name: str, there: Mapping[str, Stage], step: float = 0
) -> str:
  """In the words of the stage that writes results; `step` was reported last."""
  names = [name, EVALUATION]
  if name in NEED_TEACHER and "teacher" not in there:
    names.insert(0, "teacher")
  command = f"--config.stages={','.join(names)}"
  if name in there:
    return (
      "It was trained with another teacher than the one that is there; move "
      f"{name}/ away and run {command}."
    )
  if not (workdir / name).exists():
    return f"The stage was not run; {command} makes it."
  reported = f", at step {step:,.0f} when it last reported" if step else ""
  return (
    f"The stage was begun{reported}, but is not complete; {command} makes it."
  )


def outdated(workdir: pathlib.Path, results: Results) -> dict[str, str]:
  """What has changed since these results; nothing of results that were copied.

  The keys are what is absent: the evaluation of what is there now.
  """
  if not any((workdir / name).exists() for name in (*STAGES, EVALUATION)):
    return {}
  there = complete(workdir)
  found, gone = {}, []
  for name in STAGES:
    then = results["stages"].get(name)
    now = there.get(name)
    if now and now.is_current and not then:
      found[name] = (
        "Trained after the evaluation; the same command with "
        "--config.stages=evaluate measures it."
      )
    elif then and not (now and now.is_current):
      gone.append(name)
    elif then and now.digest != then["digest"]:
      found[f"evaluation of this {name}"] = (
        f"{name} was made anew after these results; {AGAIN}"
      )
  if gone:
    found[f"{phrases.listed(gone)}, as evaluated"] = (
      "Complete then and not now, or of another teacher; these results are of "
      f"what was there. Train what is missing again, then {AGAIN}"
    )
  reason = _of_another(workdir, results)
  return found | ({"evaluation": reason} if reason and not found else {})


def _of_another(workdir: pathlib.Path, results: Results) -> str | None:
  """Whether the evaluation that was completed last made other results."""
  found = read_object(workdir / EVALUATION / RESULT)
  if not found:
    return (
      "It is not complete: begun anew after these results, or interrupted; "
      + AGAIN
    )
  of = found.get("of")
  measured = of.get("stages") if isinstance(of, dict) else None
  if measured != {n: s["digest"] for n, s in results["stages"].items()}:
    return f"{EVALUATION}/ is of other stages than these results; {AGAIN}"
  return None


def read_object(path: pathlib.Path) -> dict[str, Any]:
  """A JSON object, or an empty one where there is none to read."""
  try:
    found = json.loads(path.read_bytes())
  except (OSError, ValueError, RecursionError):
    return {}
  return found if isinstance(found, dict) else {}
