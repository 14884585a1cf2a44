"""What a bundle serves of a run: how units are rounded, what they answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pwl_jax import evaluated
from pwl_jax.bundle.manifest import Composition
from pwl_jax.context import Context
from pwl_jax.data.batches import epoch_order
from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.progress import make_watch
from pwl_jax.evaluation.rounded import measure_rounded
from pwl_jax.exporting.pieces import network_pieces, served_variables
from pwl_jax.exporting.precision import (
  Precisions,
  as_served,
  as_trained,
  of_texts,
  stored,
  units_to_fit,
  with_scales,
)
from pwl_jax.method.composition import ROLES, TEACHER
from pwl_jax.method.network import unit_name
from pwl_jax.report.results import read
from pwl_jax.training.parallel import replicate


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
  units = [
    f"{role}/{unit}"
    for role in ROLES.values()
    for unit in units_to_fit(precisions, role, trained)
  ]
  if not units:
    context.session.say(
      f"{title}: no scales to fit; they are those of the distillation"
    )
    return precisions
  train = data.dataset.train
  rows = epoch_order(len(train), seed=context.session.seed, epoch=0)[:count]
  sample = train.take(np.sort(rows)).sample(count)
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
  words = list(results["compositions"])
  if precisions.is_exact and precisions == as_evaluated(context):
    accuracies = [
      {word: results["compositions"][word][split]["top1"] for word in words}
      for split in SPLITS
    ]
    ladder = results["ladders"]["planned"]["rungs"]
  else:
    session = context.session
    own = served_variables(context.swapnet, variables, found)
    pieces = stored(network_pieces(context.swapnet, own), precisions)
    rounded = measure_rounded(
      Bench(
        context.swapnet,
        session,
        make_watch(title, session.console, session.request),
      ),
      words,
      replicate(as_served(own, pieces), session.machine.devices),
      found,
      [
        sum(leaf.nbytes for leaf in pieces[f"{ROLES[TEACHER]}/{unit}"].values())
        for unit in map(unit_name, range(context.swapnet.num_units))
      ],
    )
    accuracies, ladder = [rounded.valid, rounded.test], rounded.ladder.rungs
  calibrated = {word: word in found.calibrated for word in words}
  compositions = {
    word: Composition(
      0, *(split[word] for split in accuracies), calibrated[word]
    )
    for word in words
  }
  return Measured(compositions, ladder)
