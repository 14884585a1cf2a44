"""The rest: what makes a coarse leaf exact, bit by bit.

A weight and what it was rounded to are close, so their bits, taken as whole
numbers, differ by little: less than 2^23 but where the coarse weight is zero.
The differences are kept as three planes of bytes. The low one, two bytes of
each weight, is noise and stays as it is. The middle one tells how far inside
of its step a weight lies; it is small where a step spans few numbers, and that
the exponent of the coarse weight tells. So differences are put in the order of
that exponent, which the reader knows as well, and a Huffman code, made anew
for every few thousand of them, does the rest. The high one is zero almost
everywhere.

Coarse and rest of a trained leaf take less than the leaf itself: 0.87 times
its bytes, for int8 and for int4.
"""

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

PLANES = {
  "low": np.dtype("<u2"),
  "middle": np.dtype("u1"),
  "high": np.dtype("u1"),
}
OFFSET = np.uint32(1 << 23)  # Differences of both signs become positive.
EXPONENT = np.uint32(0xFF << 23)  # All of it, for what is not finite.
CHUNK = 1 << 18  # Weights that are put in order together; they fit a cache.
WORTH = 63 / 64  # Of its bytes, from which on a plane is packed.


def rest_of(exact: np.ndarray, coarse: np.ndarray) -> dict[str, np.ndarray]:
  """What `join` needs beside the coarse array, which may be any.

  A plane that a code makes shorter is uint8 and shorter than the array; others
  are as long as the array.
  """
  ours, base = _bits(exact, "exact"), _bits(coarse, "coarse")
  if len(ours) != len(base):
    raise ValueError(
      f"the exact array has {len(ours)} numbers and the coarse one "
      f"{len(base)}; give an array and what it was rounded to"
    )
  for bits, what in ((ours, "exact"), (base, "coarse")):
    if ((bits & EXPONENT) == EXPONENT).any():
      raise ValueError(
        f"the {what} array has numbers that are not finite; see whether the "
        "training diverged, and train again, or keep it in float32"
      )
  found = {name: np.empty(len(ours), kind) for name, kind in PLANES.items()}
  for part, order in _parts(base):
    differences = (ours[part] - base[part] + OFFSET)[order]
    for plane in found.values():
      plane[part] = differences & np.iinfo(plane.dtype).max
      differences >>= 8 * plane.itemsize
  return {name: _packed(plane) for name, plane in found.items()}


def join(
  coarse: np.ndarray, rest: Mapping[str, np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
  """The exact array, float32 of a shape; what is damaged is a ValueError."""
  base = _bits(coarse, "coarse")
  if len(base) != math.prod(shape):
    raise ValueError(
      f"a coarse array of {len(base)} numbers is none of {list(shape)}"
    )
  if rest.keys() != PLANES.keys():
    raise _damaged(f"it consists of {', '.join(rest) or 'nothing'}")
  low, middle, high = (
    _unpacked(name, rest[name], len(base)) for name in PLANES
  )
  found = np.empty(len(base), np.uint32)
  for part, order in _parts(base):
    differences = high[part].astype(np.uint32)
    for plane in (middle, low):
      differences <<= 8 * plane.itemsize
      differences |= plane[part]
    own = found[part]
    own[order] = differences
    own += base[part] - OFFSET
    if ((own & EXPONENT) == EXPONENT).any():
      raise _damaged("it leads to numbers that are not finite")
  return found.view(np.float32).reshape(shape)


def _parts(base: np.ndarray):
  """Slices, and in which order the differences in each of them are kept."""
  for start in range(0, len(base), CHUNK):
    part = slice(start, start + CHUNK)
    exponents = (base[part] >> 23).astype(np.uint8)  # The sign falls off.
    yield part, np.argsort(exponents, kind="stable")


def _bits(array: Any, what: str) -> np.ndarray:
  """uint32[n], the same memory."""
  array = np.asarray(array)
  if array.dtype != np.float32:
    raise ValueError(
      f"the {what} array is {array.dtype}; coarse and exact are float32 both, "
      "one before and one after it was rounded"
    )
  return array.reshape(-1).view(np.uint32)


def _packed(plane: np.ndarray) -> np.ndarray:
  """Runs and a Huffman code: to look for more repetition finds none."""
  code = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
  packed = code.compress(plane) + code.flush()
  if len(packed) > WORTH * plane.nbytes:
    return plane
  return np.frombuffer(packed, np.uint8)


def _unpacked(name: str, stored: np.ndarray, count: int) -> np.ndarray:
  kind = PLANES[name]
  if stored.ndim != 1 or stored.dtype not in (kind, np.uint8):
    raise _damaged(f"its plane {name!r} is {stored.dtype}{list(stored.shape)}")
  if stored.dtype == kind and len(stored) == count:
    return stored
  nbytes = count * kind.itemsize
  code = zlib.decompressobj()
  try:  # Never more than is wanted, whatever the bytes say.
    found = code.decompress(np.ascontiguousarray(stored), nbytes + 1)
  except zlib.error as error:
    raise _damaged(f"its plane {name!r} cannot be unpacked: {error}") from None
  if len(found) != nbytes or not code.eof or code.unused_data:
    raise _damaged(f"its plane {name!r} is not one of {count} numbers")
  return np.frombuffer(found, kind)


def _damaged(how: str) -> ValueError:
  return ValueError(
    f"the rest of a leaf is damaged: {how}; write the bundle again"
  )
