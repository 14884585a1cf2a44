"""Arrays of mostly zeros: one bit for every number, and those that are none.

Only the disk has them like this. In memory they are as they were, bit by bit:
finding the numbers again takes a processor longer than it takes to use them.
"""

from typing import NamedTuple

import numpy as np

LEAST = 1024  # Bytes to be saved: below, a second array is not worth it.


class Sparse(NamedTuple):
  """What an array is made of."""

  mask: np.ndarray  # uint8[ceil(n / 8)], the first number in the highest bit.
  values: np.ndarray  # [k], those whose bit is set, in their order.


def packed(array: np.ndarray) -> Sparse | None:
  """None where it would save next to nothing."""
  if array.nbytes <= LEAST:
    return None
  rows = array.reshape(-1)
  # By their bits: -0.0 is a number of its own.
  is_there = rows.view(f"u{rows.itemsize}") != 0
  count = int(is_there.sum())
  saved = (len(rows) - count) * rows.itemsize - -(-len(rows) // 8)
  if saved < LEAST:
    return None
  return Sparse(np.packbits(is_there), rows[is_there])


def unpack(sparse: Sparse, out: np.ndarray):
  """The inverse, into an array of the same kind; ValueError if damaged."""
  rows = out.reshape(-1)
  is_there = np.unpackbits(sparse.mask, count=len(rows)).view(bool)
  count = int(is_there.sum())
  if count != len(sparse.values):
    raise ValueError(
      f"{len(sparse.values)} of its numbers are there, not {count}"
    )
  rows[...] = 0
  rows[is_there] = sparse.values
