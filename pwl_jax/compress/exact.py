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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
FED = 1 << 16  # Bytes that are unpacked at once.


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
  found = np.array(coarse).reshape(-1)
  if len(found) != math.prod(shape):
    raise ValueError(
      f"a coarse array of {len(found)} numbers is none of {list(shape)}"
    )
  join_in_place([found], rest)
  return found.reshape(shape)


def join_in_place(
  arrays: Sequence[np.ndarray],
  rest: Mapping[str, np.ndarray],
  between: Callable[[], Any] = lambda: None,
):
  """Makes coarse arrays exact that `rest_of` has seen one after the other.

  `between` is called every millisecond or so; what it raises ends this.
  """
  bits = [_bits(array, "coarse") for array in arrays]
  if rest.keys() != PLANES.keys():
    raise _damaged(f"it consists of {', '.join(rest) or 'nothing'}")
  count = sum(map(len, bits))
  planes = {name: _Plane(name, rest[name], count) for name in PLANES}
  for views in _together(bits):
    between()
    base = np.concatenate(views)
    order = _order(base)
    low, middle, high = (plane.take(len(base)) for plane in planes.values())
    differences = high.astype(np.uint32)
    for plane in (middle, low):
      differences <<= 8 * plane.itemsize
      differences |= plane
    own = np.empty_like(base)
    own[order] = differences
    own += base - OFFSET
    if ((own & EXPONENT) == EXPONENT).any():
      raise _damaged("it leads to numbers that are not finite")
    for view in views:
      view[...], own = own[: len(view)], own[len(view) :]
  for plane in planes.values():
    plane.end()


def _together(rows: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
  """Views of what would lie in one chunk, if the rows were a single one."""
  views, room = [], CHUNK
  for row in rows:
    while len(row):
      view, row = row[:room], row[room:]
      views.append(view)
      room -= len(view)
      if not room:
        yield views
        views, room = [], CHUNK
  if views:
    yield views


def _parts(base: np.ndarray):
  """Slices, and in which order the differences in each of them are kept."""
  for start in range(0, len(base), CHUNK):
    part = slice(start, start + CHUNK)
    yield part, _order(base[part])


def _order(base: np.ndarray) -> np.ndarray:
  exponents = (base >> 23).astype(np.uint8)  # The sign falls off.
  return np.argsort(exponents, kind="stable")


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


class _Plane:
  """One that is unpacked as it is taken: in parts, from its beginning."""

  def __init__(self, name: str, stored: np.ndarray, count: int):
    self._name, self._count, self._kind = name, count, PLANES[name]
    self._stored, self._at = stored, 0
    if stored.ndim != 1 or stored.dtype not in (self._kind, np.uint8):
      raise self._wrong(f"{stored.dtype}{list(stored.shape)}")
    is_plain = stored.dtype == self._kind and len(stored) == count
    self._code = None if is_plain else zlib.decompressobj()
    self._waiting = memoryview(
      b"" if is_plain else np.ascontiguousarray(stored)
    )

  def take(self, count: int) -> np.ndarray:
    if self._code is None:
      self._at += count
      return self._stored[self._at - count : self._at]
    nbytes = count * self._kind.itemsize
    # Never more than is wanted, whatever the bytes say.
    found = self._decompressed(nbytes)
    if len(found) != nbytes:
      raise self._wrong(f"not one of {self._count} numbers")
    return np.frombuffer(found, self._kind)

  def end(self):
    """Raises where something is left."""
    code = self._code
    if code is None:
      return
    left = self._waiting or code.unused_data
    if self._decompressed(1) or not code.eof or left:
      raise self._wrong(f"not one of {self._count} numbers")

  def _decompressed(self, nbytes: int) -> bytes:
    code, parts = self._code, []
    while nbytes and not code.eof:
      given = code.unconsumed_tail
      if not given:  # Little at once: what is not taken of it is copied.
        given, self._waiting = self._waiting[:FED], self._waiting[FED:]
      if not given:
        break
      try:
        parts.append(code.decompress(given, nbytes))
      except zlib.error as error:
        raise self._wrong(f"damaged: {error}") from None
      nbytes -= len(parts[-1])
    return b"".join(parts)

  def _wrong(self, what: str) -> ValueError:
    return _damaged(f"its plane {self._name!r} is {what}")


def _damaged(how: str) -> ValueError:
  return ValueError(
    f"the rest of a leaf is damaged: {how}; write the bundle again"
  )
