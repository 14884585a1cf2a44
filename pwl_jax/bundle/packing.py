"""Leaves of mostly zeros, or all alike: how they lie on the disk, and back.

  params/kernel  is stored as  params/kernel/mask, params/kernel/values

of zeros; what is one number throughout lies in the manifest alone. That has the
leaf as it is in memory, and how much of it is stored. What comes back is held
to the leaf's own digest.
"""

from collections.abc import Mapping

import numpy as np

from pwl_jax.bundle import memory
from pwl_jax.bundle.parts import CONSTANTS, Damaged, Leaf
from pwl_jax.compress import sparse
from pwl_jax.compress.sparse import Sparse

MASK, VALUES = "mask", "values"


def how(array: np.ndarray) -> tuple[int | None, float | None]:
  """As `Leaf.nonzero` and `Leaf.constant` have it."""
  number = _constant(array)
  if number is not None:
    return None, number
  found = sparse.packed(array)
  return len(found.values) if found else None, None


def _constant(array: np.ndarray) -> float | None:
  """What all of several numbers are, to the bit."""
  if str(array.dtype) not in CONSTANTS or array.size < 2:
    return None
  rows = array.reshape(-1)
  bits = rows.view(f"u{rows.itemsize}")
  is_one = np.isfinite(rows[0]) and (bits == bits[0]).all()
  return float(rows[0]) if is_one else None


def as_stored(leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """What a store is given for them."""
  arrays: dict[str, np.ndarray] = {}
  for name, array in leaves.items():
    if _constant(array) is not None:
      continue
    found = sparse.packed(array)
    if found is None:
      arrays[name] = array
    else:
      arrays |= {
        f"{name}/{MASK}": found.mask, f"{name}/{VALUES}": found.values
      }  # fmt: skip
  return arrays


def stored_of(leaves: Mapping[str, Leaf]) -> dict[str, Leaf]:
  """What a store is asked for; digests are the manifest's to know."""
  found: dict[str, Leaf] = {}
  for name, leaf in leaves.items():
    if leaf.constant is not None:
      continue
    found |= _parts(name, leaf) if _is_sparse(leaf) else {name: leaf}
  return found


def empty(leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
  """Memory for those that are not stored as they are."""
  return memory.empty(
    {
      name: leaf
      for name, leaf in leaves.items()
      if _is_sparse(leaf) or leaf.constant is not None
    }
  )


def _is_sparse(leaf: Leaf) -> bool:
  return leaf.nonzero is not None


def read_leaf(
  read: memory.ReadLeaf,
  name: str,
  leaf: Leaf,
  pace: memory.Pace,
  unpacked: Mapping[str, np.ndarray],
) -> np.ndarray:
  """One leaf as it is in memory, which `empty` gave where it was packed."""
  if leaf.constant is not None:
    unpacked[name][...] = leaf.constant
    return unpacked[name]
  if not _is_sparse(leaf):
    return read(name, leaf, pace)
  arrays = [read(*part, pace) for part in _parts(name, leaf).items()]
  try:
    sparse.unpack(Sparse(*arrays), unpacked[name])
  except ValueError as error:
    raise Damaged(str(error)) from None
  return unpacked[name]


def _parts(name: str, leaf: Leaf) -> dict[str, Leaf]:
  return {
    f"{name}/{MASK}": Leaf("uint8", (-(-leaf.size // 8),), ""),
    f"{name}/{VALUES}": Leaf(leaf.dtype, (leaf.nonzero or 0,), ""),
  }
