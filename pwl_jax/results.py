"""What was measured of a run, in the form that is written down.

The fields are those of `report/results.py`, which reads and checks them.
"""

from collections.abc import Mapping
from typing import Any

import jax

import pwl_jax
from pwl_jax import trained
from pwl_jax.context import Context
from pwl_jax.evaluation import numbers
from pwl_jax.evaluation.cost import Costs, size
from pwl_jax.evaluation.examine import Found
from pwl_jax.evaluation.scores import Score
from pwl_jax.method import composition as compositions
from pwl_jax.report.results import SCHEMA
from pwl_jax.training.artefacts import is_complete, load_result

# What a stage's network is called in the results, and whose form it has.
NETWORKS = {
  "teacher": ("teacher", compositions.TEACHER),
  "student_plain": ("student_plain", compositions.STUDENT),
  "student_kd": ("student_kd", compositions.STUDENT),
  "distill": ("student", compositions.STUDENT),
}


def of_run(
  context: Context,
  costs: Costs,
  found: Found | None,
  alone: Mapping[str, Mapping[str, Score]],
) -> dict[str, Any]:
  """Everything, as JSON has it.

  Args:
    context: of the run.
    costs: of the pieces of its swap network.
    found: where there are a teacher and a student that was distilled.
    alone: the scores of every stage's network, by split.
  """
  swapnet, networks = context.swapnet, {}
  for stage, scores in alone.items():
    name, letter = NETWORKS[stage]
    networks[name] = numbers.of_network(swapnet, costs, letter, scores)
  compositions_found = _compositions(context, costs, found, alone)
  return {
    "schema": SCHEMA,
    "pwl_jax": pwl_jax.__version__,
    "jax": jax.__version__,
    **_of_context(context),
    "networks": networks,
    "units": numbers.of_units(swapnet, costs),
    "compositions": compositions_found,
    "families": numbers.of_families(swapnet.num_units, compositions_found),
    **_plans(context, costs, found),
  }


def _of_context(context: Context) -> dict[str, Any]:
  dataset = context.session.data.dataset
  devices = context.session.machine.devices
  stages, absent = {}, {}
  for name in trained.TRAININGS:
    if trained.is_current(context, name):
      result = load_result(context.workdir / name)
      stages[name] = {k: result[k] for k in ("steps", "seconds", "digest")}
    else:
      absent[name] = _why_absent(context, name)
  return {
    "devices": f"{len(devices)} x {devices[0].device_kind}",
    "config": dict(context.fields),
    "data": {
      "name": dataset.name,
      "classes": dataset.num_classes,
      "kind": dataset.input.kind,
      "image": list(dataset.input_shape),  # Of texts and sounds, their length.
      "sample_rate": getattr(dataset.input, "sample_rate", None),
      **{s: len(getattr(dataset, s)) for s in ("train", "valid", "test")},
    },
    "absent": absent,
    "stages": stages,
  }


def _why_absent(context: Context, name: str) -> str:
  directory = context.workdir / name
  names = [name, "evaluate"]
  needs = trained.TRAININGS[name].needs_teacher
  if needs and not trained.is_current(context, "teacher"):
    names.insert(0, "teacher")
  command = f"--config.stages={','.join(names)}"
  if is_complete(directory):
    return (
      "It was trained with another teacher than the one that is there; move "
      f"{name}/ away and run {command}."
    )
  begun = "begun, but is not complete" if directory.exists() else "not run"
  return f"The stage was {begun}; {command} makes it."


def _compositions(
  context: Context,
  costs: Costs,
  found: Found | None,
  alone: Mapping[str, Mapping[str, Score]],
) -> dict[str, Any]:
  if found:
    return numbers.of_compositions(costs, found.measured)
  if "distill" not in alone:
    return {}
  word = compositions.STUDENT * context.swapnet.num_units
  return {word: numbers.of_student(costs, word, alone["distill"])}


def _plans(
  context: Context, costs: Costs, found: Found | None
) -> dict[str, Any]:
  """Ladders and budgets, by held-out accuracies; and what improved them."""
  if not found:
    return dict(
      ladders={}, budgets=[], budget=None, calibration=None, refit=None
    )
  measured, options = found.measured, context.evaluation
  most = len(context.session.data.dataset.train)
  calibration = refit = None
  if measured.tried:
    calibration = {
      "images": min(options.calibration_images, most),
      "tried": measured.tried,
      "kept": len(measured.better["valid"]),
      "bytes": size(measured.statistics),
    }
  if found.trials:
    refit = {
      "images": min(options.refit_images, most),
      "boundaries": [trial._asdict() for trial in found.trials],
    }
  budgets = numbers.of_budgets(costs, measured)
  return {
    "ladders": numbers.of_ladders(costs, measured, found.ladder.order),
    "budgets": budgets,
    "budget": numbers.of_budget(budgets, context.memory_budget),
    "calibration": calibration,
    "refit": refit,
  }
