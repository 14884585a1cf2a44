"""The pieces of a bundle that are in memory, on the device.

Reading verifies every byte before anything is kept. Only the model's worker
loads and drops; whoever serves holds the arrays it needs.
"""

import time
from collections.abc import Callable, Collection

import jax
import numpy as np

from pwl_jax.bundle.manifest import Damaged
from pwl_jax.bundle.reading import Bundle
from pwl_jax.runtime.errors import LoadFailed, RuntimeFailure

Leaves = dict[str, jax.Array]


class Pace:
  """Called with the bytes that were read; waits, or ends the reading.

  `wait(seconds)`, also of none, raises where nobody wants it any more.
  """

  def __init__(self, rate: float | None, wait: Callable[[float], None]):
    self._rate, self._wait = rate, wait
    self._began, self.read = time.perf_counter(), 0

  def __call__(self, nbytes: int):
    self.read += nbytes
    late = 0.0
    if self._rate:
      due = self._began + self.read / self._rate
      late = max(0.0, due - time.perf_counter())
    self._wait(late)


class Holdings:
  """Pieces by name."""

  def __init__(self, bundle: Bundle, device: jax.Device):
    self._bundle, self._device = bundle, device
    self._pieces: dict[str, Leaves] = {}

  def __contains__(self, piece: str) -> bool:
    return piece in self._pieces

  def __getitem__(self, piece: str) -> Leaves:
    return self._pieces[piece]

  @property
  def names(self) -> tuple[str, ...]:
    return tuple(self._pieces)

  @property
  def nbytes(self) -> int:
    return sum(map(self.size, tuple(self._pieces)))

  def size(self, piece: str) -> int:
    return self._bundle.manifest.pieces[piece].nbytes

  def load(self, piece: str, pace: Pace):
    """Reads, verifies and puts a piece on the device; all of it or nothing."""
    try:
      leaves = self._bundle.leaves(piece, pace)
      self._pieces[piece] = jax.block_until_ready(
        {name: self._put(array) for name, array in leaves.items()}
      )
    except RuntimeFailure:
      raise
    except (Damaged, OSError) as error:
      raise LoadFailed(str(error)) from error
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
      size = self.size(piece)
      raise LoadFailed(
        f"{piece}, {size:,} bytes, does not fit into the memory of "
        f"{self._device}: {str(error).splitlines()[0]}"
      ) from error

  def drop(self, pieces: Collection[str]):
    for piece in pieces:
      self._pieces.pop(piece, None)

  def _put(self, array: np.ndarray) -> jax.Array:
    """A CPU takes the memory as it is: read for this, and changed by nobody."""
    return jax.device_put(array, self._device, may_alias=True)
