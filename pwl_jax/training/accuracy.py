"""Accuracy and loss on a whole split, where every example counts once."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from pwl_jax.data.dataset import Split
from pwl_jax.method.losses import hard_loss
from pwl_jax.training.parallel import Devices, sharding
from pwl_jax.training.step import AXIS


class Batches:
  """A split in batches of one size, each divided over the devices.

  What is in memory is put there once; a stream comes anew every time, each
  process its own rows.
  """

  def __init__(self, split: Any, *, batch_size: int, devices: Devices):
    self._num_examples = len(split)
    each = -(-min(batch_size, len(split)) // len(devices))
    size = each * len(devices)
    self._count = -(-len(split) // size)
    processes = sorted({d.process_index for d in devices})
    self._size = size // len(processes)
    self._mine, self._apart = split, sharding(devices, AXIS)
    if len(processes) > 1:
      rows = np.arange(self._count * size).reshape(self._count, -1, self._size)
      rows = rows[:, processes.index(jax.process_index())].ravel()
      self._mine = split.take(rows[rows < len(split)])
    self._kept = list(self._put()) if isinstance(split, Split) else None

  def __len__(self) -> int:
    """Examples, not batches."""
    return self._num_examples

  @property
  def count(self) -> int:
    """Batches."""
    return self._count

  def __iter__(self) -> Iterator[tuple[jax.Array, ...]]:
    """Inputs, labels, and 1 for an example or 0 for padding."""
    return iter(self._put() if self._kept is None else self._kept)

  def _put(self):
    batches = itertools.chain(self._mine.batches(self._size), self._nothing())
    for inputs, labels in itertools.islice(batches, self._count):
      counts = np.ones(len(labels), np.float32)
      yield tuple(
        jax.make_array_from_process_local_data(self._apart, self._pad(array))
        for array in (inputs, labels, counts)
      )

  def _nothing(self):
    """For a process which has no rows of the last batch."""
    shape = self._mine.input_shape
    yield np.zeros((0, *shape), self._mine.input_dtype), np.zeros(0, np.int32)

  def _pad(self, array: np.ndarray) -> np.ndarray:
    missing = self._size - len(array)
    return np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1))


def make_evaluator(
  logits: Callable[[Any, jax.Array], jax.Array], batches: Batches
) -> Callable[[Any], dict[str, float]]:
  """Returns evaluate(variables) -> accuracy and loss.

  `logits` answers (variables, raw inputs) with [b, k].
  """

  @jax.jit
  def sums(variables, inputs, labels, counts):
    out = logits(variables, inputs)
    right = (out.argmax(-1) == labels) * counts
    return right.sum(), (hard_loss(out, labels) * counts).sum()

  def evaluate(variables) -> dict[str, float]:
    found = np.zeros(2)
    for batch in batches:
      found += np.asarray(jax.device_get(sums(variables, *batch)), np.float64)
    right, loss = found / len(batches)
    return {"accuracy": float(right), "loss": float(loss)}

  return evaluate
