"""Leaves of mostly zeros: how they lie on the disk, and back into memory.

  params/kernel  is stored as  params/kernel/mask, params/kernel/values

The manifest has the leaf as it is in memory, and how many of its numbers are
stored. What comes back is held to the leaf's own digest.
"""

from collections.abc import Mapping

import numpy as np

from pwl_jax.bundle import stores
from pwl_jax.bundle.parts import Damaged, Leaf
from pwl_jax.compress import sparse
from pwl_jax.compress.sparse import Sparse

MASK, VALUES = "mask", "values"


def count(array: np.ndarray) -> int | None:
  """As `Leaf.nonzero` has it."""
  found = sparse.packed(array)
  return len(found.values) if found else None


def as_stored(leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """What a store is given for them."""
  arrays: dict[str, np.ndarray] = {}
  for name, array in leaves.items():
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
    if leaf.nonzero is None:
      found[name] = leaf
    else:
      found |= _parts(name, leaf)
  return found


def empty(leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
  """Memory for those that are stored sparse."""
  packed = {n: leaf for n, leaf in leaves.items() if leaf.nonzero is not None}
  return stores.empty(packed)


def read_leaf(
  read: stores.ReadLeaf,
  name: str,
  leaf: Leaf,
  pace: stores.Pace,
  unpacked: Mapping[str, np.ndarray],
) -> np.ndarray:
  """One leaf as it is in memory, which `empty` gave where it was packed."""
  if leaf.nonzero is None:
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
