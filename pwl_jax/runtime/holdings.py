"""The pieces of a bundle that are in memory: weights on the device, programs.

Reading verifies every byte before anything is kept. Only the model's worker
keeps and drops; whoever serves holds the arrays it needs.
"""

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import numpy as np

from pwl_jax.bundle.manifest import Damaged
from pwl_jax.bundle.reading import Bundle
from pwl_jax.runtime.errors import LoadFailed, RuntimeFailure, in_a_line

Leaves = dict[str, jax.Array]


class Held(NamedTuple):
  """A piece in memory. A request needs nothing else of the bundle."""

  leaves: Leaves
  programs: dict[str, bytes]  # By role; small beside the leaves.


class Pace:
  """Called with the bytes that were read; waits, or ends the reading.

  `wait(seconds)`, also of none, raises where nobody wants it any more; `told`
  is told of the bytes.
  """

  def __init__(
    self,
    rate: float | None,
    wait: Callable[[float], None],
    told: Callable[[int], None] = lambda nbytes: None,
  ):
    self._rate, self._wait, self._told = rate, wait, told
    self._began, self.read = time.perf_counter(), 0

  def __call__(self, nbytes: int):
    self.read += nbytes
    self._told(nbytes)
    late = 0.0
    if self._rate:
      due = self._began + self.read / self._rate
      late = max(0.0, due - time.perf_counter())
    self._wait(late)


class Holdings:
  """Pieces by name."""

  def __init__(self, bundle: Bundle, device: jax.Device):
    self._bundle, self._device = bundle, device
    self._pieces: dict[str, Held] = {}

  def __contains__(self, piece: str) -> bool:
    return piece in self._pieces

  def __getitem__(self, piece: str) -> Held:
    return self._pieces[piece]

  @property
  def names(self) -> tuple[str, ...]:
    return tuple(self._pieces)

  @property
  def nbytes(self) -> int:
    return sum(map(self.size, tuple(self._pieces)))

  def size(self, piece: str) -> int:
    return self._bundle.manifest.pieces[piece].nbytes

  def read(self, piece: str, pace: Pace) -> Held:
    """Reads, verifies and puts a piece on the device; all of it or nothing."""
    try:
      roles = self._bundle.manifest.pieces[piece].programs
      programs = {r: self._bundle.program_bytes(piece, r) for r in roles}
      leaves = self._bundle.leaves(piece, pace, self._parts(piece))
      return Held(
        jax.block_until_ready(self._put(leaves)),
        programs,
      )
    except RuntimeFailure:
      raise
    except (Damaged, OSError) as error:
      raise LoadFailed(str(error), piece) from error
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
      raise LoadFailed(
        f"{piece}, {self.size(piece):,} bytes, does not fit into the memory "
        f"of {self._device}: {in_a_line(error)}",
        piece,
      ) from error

  def _parts(self, piece: str) -> dict[str, dict[str, np.ndarray]]:
    """Of those that it is made of what is there, on the host."""
    held = {
      part: self._pieces.get(part)
      for part in self._bundle.manifest.parts_of(piece)
    }
    return {
      part: {name: np.asarray(leaf) for name, leaf in found.leaves.items()}
      for part, found in held.items()
      if found
    }

  def keep(self, piece: str, held: Held):
    self._pieces[piece] = held

  def drop(self, pieces: Collection[str]):
    for piece in pieces:
      self._pieces.pop(piece, None)

  def _put(self, leaves: dict[str, np.ndarray]) -> Leaves:
    """A CPU takes the memory as it is: read for this, and changed by nobody."""
    return jax.device_put(leaves, self._device, may_alias=True)
