"""One swap network on one machine's data: scores, statistics, fits.

Whatever is measured of the same compositions is compiled once, and a split
lies on the devices once.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pwl_jax.evaluation import tree
from pwl_jax.evaluation.calibration import make_calibration
from pwl_jax.evaluation.refit import make_refit
from pwl_jax.evaluation.scores import Score, make_scorer
from pwl_jax.evaluation.tree import Statistics
from pwl_jax.method.network import Variables
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.accuracy import Batches
from pwl_jax.training.parallel import replicate
from pwl_jax.training.session import Session

# Of examples whose mean and variance are taken: no less, as they would be those
# of too few, and no more, as all compositions are run on them.
LEAST, MOST = 64, 256

EXAMPLES = {"valid": "held-out", "test": "test"}
# watch(what is done) -> passes batches on, and shows how far it is.
Watch = Callable[[str], Callable[[Iterable], Iterable]]
Scores = dict[str, Score]


class Bench:
  """`watch` is told what is done, and sees every batch."""

  def __init__(self, swapnet: SwapNet, session: Session, watch: Watch):
    self.swapnet = swapnet
    self._session, self._watch = session, watch
    self._share = dict(
      normalise=session.data.normalise, devices=session.machine.devices
    )
    self._scorer = functools.cache(
      lambda words: make_scorer(swapnet, words, **self._share)
    )
    self._split = functools.cache(self._batches)

  def score(
    self,
    split: str,
    words: Sequence[str],
    variables: Variables,
    statistics: Statistics | None = None,
    *,
    title: str = "",
  ) -> Scores:
    """Of compositions on "valid", the held-out examples, or on "test"."""
    batches = self._split(split, max(1, self._batch_size(words)))
    how = "calibrated " if statistics else ""
    title = title or f"{len(words)} {how}compositions"
    watch = self._watch(f"{title}, {EXAMPLES[split]} examples")
    return self._scorer(tuple(words))(variables, batches, statistics, watch)

  def count(self, split: str) -> int:
    """The examples that are scored."""
    return len(getattr(self._session.data.dataset, split))

  def calibrate(
    self, words: Sequence[str], variables: Variables, count: int
  ) -> Statistics:
    """Batch statistics on training examples, for all nodes with a switch."""
    calibrate = make_calibration(self.swapnet, words, **self._share)
    size = min(max(LEAST, self._batch_size(words)), MOST)
    batches = self._training_examples(count, size)
    watch = self._watch("calibration")
    return self._everywhere(calibrate(variables, batches, watch))

  def refit(self, variables: Variables, count: int) -> dict[int, Any]:
    """Converters in closed form on training examples, by their boundaries."""
    refit = make_refit(self.swapnet, **self._share)
    batches = self._training_examples(count, MOST)
    watch = self._watch("converters")
    return self._everywhere(refit(variables, batches, watch))

  def _batch_size(self, words: Sequence[str]) -> int:
    """At the widest place of the tree as many inputs as in other batches."""
    return self._session.machine.evaluation_batch // tree.width(words)

  def _everywhere(self, tree: Any) -> Any:
    return replicate(tree, self._session.machine.devices)

  def _batches(self, split: str, size: int) -> Batches:
    examples = getattr(self._session.data.dataset, split)
    return self._session.evaluation(examples, size)

  def _training_examples(self, count: int, batch_size: int) -> Batches:
    session = self._session
    examples = session.data.training_examples(count, seed=session.seed)
    return session.evaluation(examples, batch_size)
