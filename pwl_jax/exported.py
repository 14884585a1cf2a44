"""The stage that writes the bundle: what the runtime serves from.

It takes teacher, student and converters, what the evaluation found to make
compositions better, and what it measured. Like an evaluation a bundle belongs
to exactly these, and is written anew when one of them has changed; the old one
stays until the new one is whole.
"""

import functools
import pathlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import jax

from pwl_jax import evaluated, trained, workdirs
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import ours
from pwl_jax.bundle.verify import verify
from pwl_jax.bundle.write import write_bundle
from pwl_jax.context import Context
from pwl_jax.evaluation.progress import passed_on
from pwl_jax.exporting.checks import check_platforms
from pwl_jax.exporting.precision import Precisions
from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.served import (
  Measured,
  measure,
  precisions_of,
  read_trained,
  with_fitted_scales,
)
from pwl_jax.training import distributed
from pwl_jax.training.artefacts import load_result
from pwl_jax.training.session import Session

NAME = "export"
BUNDLE = "bundle"
READS = ("export.",)
NEEDS = ("teacher", "distill", evaluated.NAME)
OF = "made_of"  # In the config of a bundle.


def is_current(context: Context, name: str) -> bool:
  """Whether it was written from exactly what is there, and all of it is."""
  directory = place(context)
  try:
    found = manifests.read(directory)
  except (OSError, ValueError):
    return False
  return (
    evaluated.is_current(context, evaluated.NAME)
    and found.config.get(OF) == _identity(context)
    and not verify(directory)
  )


def _identity(context: Context) -> dict[str, Any]:
  found = load_result(context.workdir / evaluated.NAME)
  return {
    "evaluate": found["digest"],
    "of": found["of"],
    "fields": workdirs.read_by(READS, context.fields),
  }


def place(context: Context) -> pathlib.Path:
  """Of the bundle."""
  if context.export_directory:
    return pathlib.Path(context.export_directory)
  return context.workdir / BUNDLE


def check(context: Context, name: str, before: Collection[str]):
  check_choice("export.format", context.export_format, manifests.STORES)
  try:
    check_platforms(context.export_platforms)
  except ValueError as error:
    raise ValueError(f"config.export.platforms: {error}") from None
  precisions_of(context)
  check_range("export.fit_examples", context.export_fit_examples, 0)
  ours.check(place(context))
  check_needs(context, name, before)


def check_needs(context: Context, name: str, before: Collection[str]):
  """Raises unless there is all that a bundle is made of, or will be."""
  there = {*trained.current(context), *before}
  if evaluated.is_current(context, evaluated.NAME):
    there.add(evaluated.NAME)
  missing = [stage for stage in NEEDS if stage not in there]
  if missing:
    raise ValueError(
      f"{name} needs {', '.join(missing)}, which {context.workdir} does not "
      f"have; --config.stages={','.join([*missing, name])} makes it"
    )


def check_owner(context: Context, name: str):
  """The evaluation looks after what it is made of."""
  evaluated.check_owner(context, evaluated.NAME)


def plan(context: Context, name: str) -> str:
  return f"{context.export_format}, for {', '.join(context.export_platforms)}"


def run(context: Context, name: str):
  directory = place(context)
  variables, found = read_trained(context)
  precisions = with_fitted_scales(
    context, variables, precisions_of(context), title=NAME
  )
  measured = measure(context, variables, found, precisions, title=NAME)
  with distributed.together():
    if distributed.is_first():
      _write(context, directory, variables, precisions, measured)
  context.session.say(f"{name}: {directory}")


def _write(
  context: Context,
  directory: pathlib.Path,
  variables: dict[str, Any],
  precisions: Precisions,
  measured: Measured,
):
  session, data = context.session, context.session.data
  write_bundle(
    directory,
    swapnet=context.swapnet,
    variables=variables,
    improvements=measured.improvements,
    input=data.input,
    class_names=data.dataset.class_names,
    compositions=measured.compositions,
    ladder=measured.ladder,
    precisions=precisions,
    config={
      **{n: v for n, v in context.fields.items() if n not in workdirs.PATHS},
      OF: _identity(context),
    },
    store=context.export_format,
    platforms=context.export_platforms,
    watch=functools.partial(_watched, session),
  )


def _watched(session: Session, tasks: Sequence[Any]) -> Iterator[Any]:
  """Whether to end, several processes could only decide together."""
  alone = jax.process_count() == 1
  return passed_on(
    tasks,
    len(tasks),
    title=f"{NAME}: programs",
    console=session.console,
    check=session.request.check if alone else None,
  )
