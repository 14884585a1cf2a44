"""The order of examples, and what each step gets of them.

The order of an epoch is a permutation drawn from (seed, epoch) alone, so it is
the same on any number of devices and after a resume: the number of the step is
the whole position in the data. A feed gives a step its arrays on the host's
side, and has the function that takes a device's rows of them inside the step:

  feed = make_feed(split, batch_size=128, seed=0, replicate=..., divide=...)
  arrays = feed.arrays(step)
  images, labels = feed.take(arrays, step, rows)   # in the jitted step

A split in memory lies on every device as a whole, and a step cuts its rows out
there; a stream brings the rows of each step, divided over the devices.
"""

import collections
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from pwl_jax.data.dataset import Split

AHEAD = 2  # Batches of a stream that are on their way to the devices.


class Arrays(NamedTuple):
  """What lies on every device during an epoch."""

  inputs: jax.Array  # [n, ...], as they are kept
  labels: jax.Array  # int32[n]
  order: jax.Array  # int32[n], a permutation


def epoch_order(num_examples: int, *, seed: int, epoch: int) -> np.ndarray:
  """A permutation from (seed, epoch); Philox is the same on every platform."""
  rng = np.random.Generator(np.random.Philox(key=[seed, epoch]))
  return rng.permutation(num_examples).astype(np.int32)


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
  """An epoch leaves out what does not fill a batch.

  As every epoch has an order of its own, no example is left out for good.
  """
  if not 1 <= batch_size <= num_examples:
    raise ValueError(
      f"a batch of {batch_size} cannot be taken from {num_examples} training "
      f"examples; choose a batch_size from 1 to {num_examples}"
    )
  return num_examples // batch_size


def make_feed(
  split: Any,
  *,
  batch_size: int,
  seed: int,
  replicate: Callable[[Any], Any],
  divide: Callable[[Any], Any],
  share: tuple[int, int] = (0, 1),
) -> "MemoryFeed | StreamFeed":
  """The feed of a split in memory, or of a stream.

  Args:
    split: the training examples.
    batch_size: of all devices of all processes together.
    seed: of the order.
    replicate: puts arrays on every device.
    divide: puts this process's rows on its devices, a part on each.
    share: index of this process, number of processes.
  """
  if isinstance(split, Split):
    return MemoryFeed(split, batch_size, seed=seed, replicate=replicate)
  return StreamFeed(split, batch_size, seed=seed, divide=divide, share=share)


class MemoryFeed:
  """Batches of a split that fits on the device."""

  apart = False

  def __init__(self, split: Split, batch_size: int, *, seed: int, replicate):
    self.steps_per_epoch = steps_per_epoch(len(split), batch_size)
    # Of numbers alone: what a compiled step holds on to is not the data.
    self.take = functools.partial(
      _cut, batch_size=batch_size, steps_per_epoch=self.steps_per_epoch
    )
    self._num_examples, self._seed = len(split), seed
    self._replicate = replicate
    self._data = replicate((split.inputs, split.labels))
    self._epoch, self._order = None, None

  def arrays(self, step: int) -> Arrays:
    epoch = step // self.steps_per_epoch
    if epoch != self._epoch:
      order = epoch_order(self._num_examples, seed=self._seed, epoch=epoch)
      self._epoch, self._order = epoch, self._replicate(order)
    return Arrays(*self._data, self._order)

  def close(self):
    """There is nothing to end."""


def _cut(arrays: Arrays, step, rows, *, batch_size, steps_per_epoch):
  """These rows of the batch of this step; `rows` are below `batch_size`."""
  start = (step % steps_per_epoch) * batch_size
  chosen = arrays.order[start + rows]
  return arrays.inputs[chosen], arrays.labels[chosen]


class StreamFeed:
  """Batches that are decoded while earlier ones are trained on."""

  apart = True

  def __init__(self, stream, batch_size: int, *, seed: int, divide, share):
    self.steps_per_epoch = steps_per_epoch(len(stream), batch_size)
    self.take = _all
    self._divide, self._step, self._source = divide, None, None
    self._ahead = collections.deque()
    self._open = functools.partial(
      stream.training_batches, batch_size=batch_size, seed=seed, share=share
    )

  def arrays(self, step: int) -> tuple[jax.Array, jax.Array]:
    if step != self._step:
      self.close()
      self._source = self._open(first_step=step)
    while len(self._ahead) <= AHEAD:
      self._ahead.append(self._divide(next(self._source)))
    self._step = step + 1
    return self._ahead.popleft()

  def close(self):
    if self._source is not None:
      self._source.close()
    self._source, self._step = None, None
    self._ahead.clear()


def _all(arrays, step, rows):
  """A device got its own rows already."""
  del step, rows
  return arrays
