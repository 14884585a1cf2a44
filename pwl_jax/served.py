"""What a bundle serves of a run: how units are rounded, what they answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pwl_jax import evaluated, trained
from pwl_jax.bundle import packing
from pwl_jax.bundle.parts import Composition, made_of
from pwl_jax.context import Context
from pwl_jax.evaluation import improvements
from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.progress import make_watch
from pwl_jax.evaluation.rounded import Rounded, measure_rounded
from pwl_jax.evaluation.words import with_coarse
from pwl_jax.exporting.pieces import Pieces, served_variables
from pwl_jax.exporting.precision import (
  Precisions,
  as_trained,
  of_texts,
  pieces_to_fit,
  with_scales,
)
from pwl_jax.exporting.stored import Stored
from pwl_jax.method.composition import (
  COARSE,
  GROUPS,
  TEACHER,
  in_full,
)
from pwl_jax.method.network import unit_name
from pwl_jax.report.results import Results, read
from pwl_jax.training.parallel import replicate


def read_trained(context: Context) -> tuple[dict[str, Any], Improvements]:
  """All variables of the swap network, and what the evaluation found."""
  variables = {
    **trained.variables(context, "teacher"),
    **trained.variables(context, "distill"),
  }
  found = improvements.load(
    context.workdir / evaluated.NAME,
    context.swapnet,
    context.session.machine.devices,
  )
  return variables, found


def precisions_of(context: Context) -> Precisions:
  return of_texts(*context.export_precisions, context.swapnet.num_units)


def with_fitted_scales(
  context: Context,
  variables: dict[str, Any],
  precisions: Precisions,
  *,
  title: str,
) -> Precisions:
  """With scales that keep what the layers give, if there are to be some."""
  count, data = context.export_fit_examples, context.session.data
  if not count or precisions.is_exact:
    return precisions
  trained = as_evaluated(context)
  units = pieces_to_fit(precisions, trained)
  if not units:
    context.session.say(
      f"{title}: no scales to fit; they are those of the distillation"
    )
    return precisions
  examples = data.training_examples(count, seed=context.session.seed)
  sample = examples.sample(count)
  context.session.say(
    f"{title}: scales of {', '.join(units)}, on {len(sample)} examples"
  )
  inputs = np.asarray(data.normalise(sample.inputs))
  return with_scales(
    context.swapnet, variables, precisions, inputs, trained=trained
  )


def as_evaluated(context: Context) -> Precisions:
  """The student as it was distilled, the teacher as it is."""
  exact = as_trained(context.swapnet.num_units)
  return exact._replace(student=context.student_precisions)


class Measured(NamedTuple):
  """Of what is served."""

  compositions: dict[str, Composition]
  ladder: Sequence[str]
  improvements: Improvements


def measure(
  context: Context,
  variables: dict[str, Any],
  found: Improvements,
  precisions: Precisions,
  *,
  title: str,
) -> Measured:
  """As it was evaluated; measured again where units are or were rounded."""
  results = read(evaluated.results_path(context))
  if precisions.is_exact and precisions == as_evaluated(context):
    accuracies = [
      {
        word: known[split]["top1"]
        for word, known in results["compositions"].items()
      }
      for split in SPLITS
    ]
    rungs = results["ladders"]["planned"]["rungs"]
  else:
    own = served_variables(context.swapnet, variables, found)
    rounded = _rounded(context, own, precisions, results, title)
    accuracies, rungs = [rounded.valid, rounded.test], rounded.ladder.rungs
    found = rounded.improvements
  compositions = {
    word: Composition(
      0,
      *(split[word] for split in accuracies),
      in_full(word) in found.calibrated,
    )
    for word in accuracies[0]
  }
  return Measured(compositions, rungs, found)


def _rounded(
  context: Context,
  variables: dict[str, Any],
  precisions: Precisions,
  results: Results,
  title: str,
) -> Rounded:
  session, num_units = context.session, context.swapnet.num_units
  found = Stored.of(context.swapnet, variables, precisions)
  words = list(results["compositions"])
  if precisions.coarse:
    ladder = results["ladders"]["planned"]["rungs"]
    words = with_coarse(words, ladder, precisions.coarse)
  watch = make_watch(title, session.console, session.request)

  def nbytes(letter: str, i: int) -> int:
    return _bytes_of(found.pieces, f"{GROUPS[letter]}/{unit_name(i)}")

  return measure_rounded(
    Bench(context.swapnet, session, watch),
    words,
    replicate(found.as_served(), session.machine.devices),
    [nbytes(TEACHER, i) for i in range(num_units)],
    {i: nbytes(COARSE, i) for i in precisions.coarse},
    examples=context.evaluation.calibration_images,
  )


def _bytes_of(pieces: Pieces, piece: str) -> int:
  """To be read for it."""
  parts = made_of(piece, pieces) or (piece,)
  return sum(
    array.nbytes
    for part in parts
    for array in packing.as_stored(pieces[part]).values()
  )
