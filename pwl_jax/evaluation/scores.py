"""How good compositions are on a split, all of them in one pass over it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pwl_jax.evaluation.tree import Statistics, all_logits
from pwl_jax.method.losses import hard_loss
from pwl_jax.method.network import Variables
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.accuracy import Batches
from pwl_jax.training.parallel import Devices, on_all
from pwl_jax.training.step import AXIS

TOP = 5
NINETY_FIVE = 1.959964  # Deviations of a normal distribution to either side.


class Score(NamedTuple):
  """Of one composition."""

  count: int  # Examples.
  top1: float
  top5: float | None  # Where there are more than five classes.
  loss: float

  @property
  def interval(self) -> tuple[float, float]:
    """Of top1, 95 %, by Wilson: it holds near 0 and 1 and for few examples."""
    n, p, z = self.count, self.top1, NINETY_FIVE
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def make_scorer(
  swapnet: SwapNet,
  words: Sequence[str],
  *,
  normalise: Callable[[jax.Array], jax.Array],
  devices: Devices,
) -> Callable[..., dict[str, Score]]:
  """Returns score(variables, batches, statistics) -> composition -> Score.

  `normalise` makes inputs of raw examples. A batch is divided over the
  devices, and a unit runs once for all compositions that begin alike.
  """
  words = tuple(words)
  has_top5 = swapnet.teacher.num_classes > TOP

  def sums(variables, statistics, inputs, labels, counts):
    logits = all_logits(
      swapnet, variables, normalise(inputs), words, statistics
    )

    def of_word(logits):
      # How many classes are likelier; of equal ones the first counts.
      own = jnp.take_along_axis(logits, labels[:, None], axis=1)
      place = (logits > own).sum(-1) + _equal_before(logits, own, labels)
      place = jnp.where(jnp.isfinite(logits).all(-1), place, jnp.inf)
      found = (place < 1, place < TOP, hard_loss(logits, labels))
      return jnp.stack([(part * counts).sum() for part in found])

    return jax.lax.psum(jax.vmap(of_word)(logits), AXIS)

  run = on_all(sums, devices, apart=(False, False, True, True, True))

  def score(
    variables: Variables,
    batches: Batches,
    statistics: Statistics | None = None,
    watch: Callable[[Iterable], Iterable] = iter,
  ) -> dict[str, Score]:
    """`watch` is given the batches and passes them on, one by one."""
    total = np.zeros((len(words), 3))
    for batch in watch(batches):
      found = run(variables, statistics or {}, *batch)
      total += np.asarray(jax.device_get(found), np.float64)
    n = len(batches)
    return {
      word: Score(n, top1 / n, top5 / n if has_top5 else None, loss / n)
      for word, (top1, top5, loss) in zip(words, total.tolist(), strict=True)
    }

  return score


def check_finite(scores: Mapping[str, Score], what: str):
  """Raises where something does not answer with numbers."""
  bad = [
    name for name, score in scores.items() if not math.isfinite(score.loss)
  ]
  if bad:
    raise ValueError(
      f"{', '.join(bad)} of {what} answers with numbers that are not finite; "
      "its weights are not, or it leaves the range of model.dtype: train it "
      'again, with a lower learning rate, or use "float32"'
    )


def _equal_before(logits, own, labels):
  """As argmax does: of equal logits the one with the lower index wins."""
  before = jnp.arange(logits.shape[-1]) < labels[:, None]
  return ((logits == own) & before).sum(-1)
