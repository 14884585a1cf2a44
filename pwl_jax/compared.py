"""The stage that compares precisions: what fewer bits save, and what they cost.

It exports nothing: for every precision in `config.precisions` it makes what a
bundle would hold, counts the bytes up to every rung of the best ladder, and
measures all compositions. What it finds lies in `report/precisions.json`, and
the report has it as a table and a picture.
"""

import json
import pathlib
from collections.abc import Collection
from typing import Any

from pwl_jax import evaluated, exported, served, workdirs
from pwl_jax.bundle.parts import Manifest
from pwl_jax.context import Context
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.exporting.description import describe
from pwl_jax.exporting.pieces import Pieces, served_variables
from pwl_jax.exporting.precision import CHOICES, Precisions, of_texts
from pwl_jax.exporting.stored import Stored
from pwl_jax.method.checks import check_choice
from pwl_jax.method.composition import TEACHER
from pwl_jax.report import precisions as shown
from pwl_jax.report import write_report
from pwl_jax.report.results import read
from pwl_jax.training import distributed
from pwl_jax.training.artefacts import load_result
from pwl_jax.training.trees import write_json

NAME = "precisions"
READS = (NAME, "export.fit_examples")


def is_current(context: Context, name: str) -> bool:
  """Whether it was measured of exactly what is there."""
  try:
    found = json.loads(_path(context).read_text())
  except (OSError, ValueError):
    return False
  return (
    isinstance(found, dict)
    and evaluated.is_current(context, evaluated.NAME)
    and found.get("of") == _identity(context)
  )


def _path(context: Context) -> pathlib.Path:
  return evaluated.results_path(context).with_name(shown.NAME)


def _identity(context: Context) -> dict[str, Any]:
  return {
    "evaluate": load_result(context.workdir / evaluated.NAME)["digest"],
    "fields": workdirs.read_by(READS, context.fields),
  }


def _choices(context: Context) -> list[str]:
  names = [name.strip() for name in context.compared_precisions.split(",")]
  for name in names:
    check_choice("config.precisions", name, CHOICES["teacher"])
  if len(set(names)) < len(names):
    raise ValueError(f"config.precisions names one twice: {','.join(names)}")
  return names


def check(context: Context, name: str, before: Collection[str]):
  _choices(context)
  exported.check_needs(context, name, before)


def check_owner(context: Context, name: str):
  """The evaluation looks after what it is made of."""
  evaluated.check_owner(context, evaluated.NAME)


def plan(context: Context, name: str) -> str:
  return ", ".join(_choices(context))


def run(context: Context, name: str):
  variables, found = served.read_trained(context)
  results = read(evaluated.results_path(context))
  teacher = results["compositions"][TEACHER * context.swapnet.num_units]
  compared = {
    "schema": shown.SCHEMA,
    "of": _identity(context),
    "fit_examples": context.export_fit_examples,
    "teacher": {split: teacher[split]["top1"] for split in ("valid", "test")},
    "rows": [
      _row(choice, _outline(context, variables, found, choice))
      for choice in _choices(context)
    ],
  }
  with distributed.together():
    if distributed.is_first():
      write_json(_path(context), compared)
      write_report(context.workdir)
  context.session.console.print(shown.summary(compared))
  context.session.say(f"{name}: {_path(context)}")


def _outline(
  context: Context, variables: dict[str, Any], found: Improvements, choice: str
) -> Manifest:
  """Of the bundle that would be written, without its programs."""
  swapnet, title = context.swapnet, f"{NAME}: {choice}"
  student = choice.partition("+")[0]
  precisions = served.with_fitted_scales(
    context,
    variables,
    of_texts(student, choice, swapnet.num_units),
    title=title,
  )
  measured = served.measure(context, variables, found, precisions, title=title)
  return describe(
    num_units=swapnet.num_units,
    pieces=_pieces(context, variables, measured.improvements, precisions),
    binaries={},
    input=context.session.data.input,
    class_names=(),
    compositions=measured.compositions,
    calibrated=measured.improvements.calibrated,
    ladder=measured.ladder,
    config={},
    store=context.export_format,
    platforms=(),
  )


def _pieces(
  context: Context,
  variables: dict[str, Any],
  found: Improvements,
  precisions: Precisions,
) -> Pieces:
  own = served_variables(context.swapnet, variables, found)
  stored = Stored.of(context.swapnet, own, precisions)
  return stored.pieces | stored.calibration(found)


def _row(choice: str, manifest: Manifest) -> dict[str, Any]:
  """Bytes and accuracies, as JSON has them."""
  rungs, held, read_bytes = [], set(), 0
  for word in manifest.ladder:
    pieces = manifest.pieces_of(word)
    missing = [piece for piece in pieces if piece not in held]
    read_bytes += manifest.bytes_to_read(missing, held)
    held |= {*pieces}
    rungs.append({"composition": word, "read_bytes": read_bytes})
  return {
    "precision": choice,
    "rungs": rungs,
    "compositions": {
      word: {
        "bytes": known.nbytes,
        "valid": known.valid,
        "test": known.test,
      }
      for word, known in manifest.compositions.items()
    },
  }
