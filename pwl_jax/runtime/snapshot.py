"""What is served at one moment: a composition and the arrays it runs on.

A snapshot never changes. Whoever holds one can go on asking it while another
one is served; its arrays are freed when the last holder lets go of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from pwl_jax.bundle.manifest import Input
from pwl_jax.runtime.programs import Program
from pwl_jax.runtime.requests import Examples

LARGEST = 256  # Examples at once; more are answered in parts.


class Step(NamedTuple):
  """A unit or a conversion, and its weights."""

  program: Program
  names: tuple[str, ...]  # Of the leaves, sorted.
  leaves: tuple[jax.Array, ...]


class Snapshot:
  """Answers batches by one composition."""

  def __init__(
    self,
    composition: str,
    steps: Sequence[Step],
    *,
    input: Input,
    read: Callable[[Examples, int | None], np.ndarray],
    device: jax.Device,
    seen: set[int],
  ):
    self.composition = composition
    self._steps, self._input, self._read = tuple(steps), input, read
    self._device = device
    self._seen = seen  # Batch sizes; those of a model share them.

  def __call__(
    self, examples: Examples, *, sample_rate: int | None = None
  ) -> np.ndarray:
    """Images, texts or sounds -> float32[b, classes]; any b."""
    batch = self._read(examples, sample_rate)
    answers = [
      self._answer(batch[start : start + LARGEST])
      for start in range(0, max(1, len(batch)), LARGEST)
    ]
    return answers[0] if len(answers) == 1 else np.concatenate(answers)

  def warm(self, pause: Callable[[], None]):
    """Compiles what is not yet compiled for the batch sizes that were seen.

    That takes long, so `pause` is called in between, and may end it by an
    error; and sizes that requests bring meanwhile are compiled too.
    """
    warmed: set[int] = set()
    while sizes := {*self._seen} - warmed:
      size = min(sizes)
      x = jax.ShapeDtypeStruct((size, *self._input.shape), self._input.dtype)
      for step in self._steps:
        pause()
        x = step.program.warm(step.names, step.leaves, x)
      warmed.add(size)

  def _answer(self, batch: np.ndarray) -> np.ndarray:
    (size,) = buckets(max(1, len(batch)))
    if size not in self._seen:
      self._seen.add(size)
    padding = [(0, size - len(batch)), *[(0, 0)] * (batch.ndim - 1)]
    padded = np.pad(batch, padding) if size > len(batch) else batch
    # Cut on the host: on the device each number of examples would be compiled.
    return np.asarray(self._run(padded))[: len(batch)].copy()

  def _run(self, batch: np.ndarray) -> jax.Array:
    x = jax.device_put(batch, self._device)
    for step in self._steps:
      x = step.program(step.names, step.leaves, x)
    return x


def buckets(count: int) -> set[int]:
  """The batch sizes in which so many examples are answered.

  Powers of two, the next one above each part of them: few programs serve all.
  """
  whole, rest = divmod(count, LARGEST)
  parts = ([LARGEST] if whole else []) + ([rest] if rest else [])
  return {1 << (part - 1).bit_length() for part in parts}
