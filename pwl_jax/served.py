"""What a bundle serves of a run: how units are rounded, what they answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pwl_jax import evaluated
from pwl_jax.bundle import packing
from pwl_jax.bundle.parts import Composition, made_of
from pwl_jax.context import Context
from pwl_jax.data.batches import epoch_order
from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.progress import make_watch
from pwl_jax.evaluation.rounded import measure_rounded
from pwl_jax.evaluation.words import with_coarse
from pwl_jax.exporting.pieces import (
  Pieces,
  network_pieces,
  served_variables,
)
from pwl_jax.exporting.precision import (
  Precisions,
  as_served,
  of_texts,
  stored,
  with_scales,
)
from pwl_jax.method.composition import (
  COARSE,
  GROUPS,
  ROLES,
  TEACHER,
  in_full,
)
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
  train = data.dataset.train
  rows = epoch_order(len(train), seed=context.session.seed, epoch=0)[:count]
  sample = train.take(np.sort(rows)).sample(count)
  context.session.say(f"{title}: scales, on {len(sample)} examples")
  inputs = np.asarray(data.normalise(sample.inputs))
  return with_scales(context.swapnet, variables, precisions, inputs)


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
  """As it was evaluated; measured again where units are rounded."""
  results = read(evaluated.results_path(context))
  words = list(results["compositions"])
  if precisions.is_exact:
    accuracies = [
      {word: results["compositions"][word][split]["top1"] for word in words}
      for split in SPLITS
    ]
    ladder = results["ladders"]["planned"]["rungs"]
  else:
    session = context.session
    own = served_variables(context.swapnet, variables, found)
    pieces = stored(network_pieces(context.swapnet, own), precisions)
    if precisions.coarse:
      ladder = results["ladders"]["planned"]["rungs"]
      words = with_coarse(words, ladder, precisions.coarse)
    coarse_bytes = {
      i: _bytes_of(pieces, f"{GROUPS[COARSE]}/{unit_name(i)}")
      for i in precisions.coarse
    }
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
        _bytes_of(pieces, f"{ROLES[TEACHER]}/{unit_name(i)}")
        for i in range(context.swapnet.num_units)
      ],
      coarse_bytes,
    )
    accuracies, ladder = [rounded.valid, rounded.test], rounded.ladder.rungs
  calibrated = {word: in_full(word) in found.calibrated for word in words}
  compositions = {
    word: Composition(
      0, *(split[word] for split in accuracies), calibrated[word]
    )
    for word in words
  }
  return Measured(compositions, ladder)


def _bytes_of(pieces: Pieces, piece: str) -> int:
  """To be read for it."""
  parts = made_of(piece, pieces) or (piece,)
  return sum(
    array.nbytes
    for part in parts
    for array in packing.as_stored(pieces[part]).values()
  )
