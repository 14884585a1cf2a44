"""Memory that arrays are read into, and what must have come to lie there.

Arrays begin at multiples of 64 bytes, so jax's CPU backend can take them
without a copy.
"""

import contextlib
import hashlib
import mmap
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pwl_jax.bundle.parts import Damaged, Leaf

Pace = Callable[[int], object]  # Told of bytes that were read; may raise.
ReadLeaf = Callable[[str, Leaf, Pace], np.ndarray]

STEP = 1 << 20  # Bytes between two calls of pace.
ALIGNMENT = 64
LARGE = 8 << 20  # Bytes.
# Memory that is shared does not come in large pages; Windows has no choice.
_PRIVATE = (
  {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
  if hasattr(mmap, "MAP_PRIVATE")
  else {}
)


def numpy_dtype(name: str) -> np.dtype:
  try:
    return np.dtype(name)
  except TypeError:  # NumPy learns bfloat16 and its like with jax.
    import jax.numpy as jnp

    return jnp.dtype(name)


def as_bytes(array: np.ndarray) -> np.ndarray:
  """The same memory, as uint8[n]."""
  return array.reshape(-1).view(np.uint8)


def digest(array: np.ndarray) -> str:
  """Of its bytes, row by row, as a `Leaf` has it."""
  return hashlib.sha256(as_bytes(array)).hexdigest()


def empty(leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
  """One block of memory for the leaves of a piece, each aligned."""
  sizes = [-(-leaf.nbytes // ALIGNMENT) * ALIGNMENT for leaf in leaves.values()]
  raw, found = _block(sum(sizes) + ALIGNMENT), {}
  start = -raw.ctypes.data % ALIGNMENT
  for (name, leaf), size in zip(leaves.items(), sizes, strict=True):
    own = raw[start : start + leaf.nbytes]
    found[name] = own.view(numpy_dtype(leaf.dtype)).reshape(leaf.shape)
    start += size
  return found


def _block(nbytes: int) -> np.ndarray:
  """uint8[nbytes]; a large one from the system, and back to it.

  It comes in large pages, which takes much less time, and leaves no gaps in
  the process. Small ones the process has at hand.
  """
  if nbytes < LARGE:
    return np.empty(nbytes, np.uint8)
  try:
    memory = mmap.mmap(-1, nbytes, **_PRIVATE)
  except OSError as error:
    raise MemoryError(f"{nbytes:,} bytes: {error.strerror}") from error
  if hasattr(mmap, "MADV_HUGEPAGE"):
    with contextlib.suppress(OSError):  # Not every kernel has them.
      memory.madvise(mmap.MADV_HUGEPAGE)
  return np.frombuffer(memory, np.uint8)


def check_form(dtype: str, shape: Sequence[int], leaf: Leaf):
  """Raises unless a leaf of this form was found."""
  found = f"{dtype}{list(shape)}"
  if found != f"{leaf.dtype}{list(leaf.shape)}":
    raise Damaged(f"it is {found}, not {leaf.dtype}{list(leaf.shape)}")
