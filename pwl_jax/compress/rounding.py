"""Weights as whole numbers: int8 and int4, symmetric, each with its scale.

A weight is q * scale, with one scale per output channel (the last axis), and
for int4 one per channel and group of rows; a row is everything before the last
axis. Scales are bfloat16 and rounded up. So nothing is clipped, the product is
exact in float32 wherever it is computed, and no weight moves by more than half
of its scale.

  whole = to_int8(kernel)
  kernel = from_int8(whole)

What restores, and `scales_for` and `nearest`, work in a traced program too.
"""

import math
from typing import Any, NamedTuple

import numpy as np

PRECISIONS = ("float32", "bfloat16", "int8", "int4")
GROUP = 32  # Rows that share a scale, in int4.
MOST = {"int8": 127, "int4": 7}  # Symmetric: -128 and -8 stay unused.
LARGEST = 2.0**127  # Of a weight; q * scale is finite up to there.
SMALLEST = 2.0**-126  # Of a scale: what is smaller, processors take for zero.


class Rounded(NamedTuple):
  """Weights are values * scale."""

  values: Any  # int8[..., c]; or uint8[ceil(rows / 2), c], two int4 in each.
  scale: Any  # bfloat16[c]; or bfloat16[groups, c].


def to_int8(weights: np.ndarray, *, scales: Any = None) -> Rounded:
  """float32[..., c] -> int8[..., c], bfloat16[c].

  With `scales` of [c], weights that these do not reach are clipped.
  """
  rows = _as_rows(weights)
  if scales is None:
    scale = scales_for(abs(rows).max(axis=0, initial=0), MOST["int8"])
  else:
    scale = _given(scales, rows.shape[1:], MOST["int8"])
  values = _nearest(rows, scale, MOST["int8"])
  return Rounded(values.reshape(np.shape(weights)), scale.astype(bfloat16()))


def from_int8(rounded: Rounded) -> Any:
  """The inverse, up to rounding: float32[..., c]."""
  return rounded.values.astype("float32") * rounded.scale.astype("float32")


def to_int4(
  weights: np.ndarray, *, scales: Any = None, group: int = GROUP
) -> Rounded:
  """float32[..., c] -> uint8[ceil(rows / 2), c], bfloat16[groups, c].

  Row 2i lies in the low half of a byte and row 2i + 1 in the high one, in
  two's complement. With `scales` of [groups, c], weights that these do not
  reach are clipped.
  """
  rows = _as_rows(weights)
  missing = -len(rows) % group
  if scales is None:
    padded = np.pad(abs(rows), ((0, missing), (0, 0)))
    scale = scales_for(group_peaks(padded, group), MOST["int4"])
  else:
    groups = (len(rows) + missing) // group
    scale = _given(scales, (groups, rows.shape[1]), MOST["int4"])
  values = _nearest(rows, by_rows(scale, len(rows), group), MOST["int4"])
  halves = np.pad(values, ((0, len(rows) % 2), (0, 0))).view(np.uint8) & 15
  packed = halves[::2] | halves[1::2] << 4
  return Rounded(packed, scale.astype(bfloat16()))


def from_int4(
  rounded: Rounded, shape: tuple[int, ...], group: int = GROUP
) -> Any:
  """The inverse, up to rounding: float32 of the shape that the weights had."""
  rows = rows_of(shape)
  shifts = np.array([[0], [4]], np.uint8)
  halves = rounded.values[:, None] >> shifts & 15  # [ceil(rows / 2), 2, c]
  values = (halves ^ 8).astype("int8") - 8  # From two's complement of 4 bits.
  values = values.reshape(2 * len(values), shape[-1])[:rows].astype("float32")
  return (values * by_rows(rounded.scale, rows, group)).reshape(shape)


def rows_of(shape: tuple[int, ...]) -> int:
  return math.prod(shape[:-1])


def by_rows(scale: Any, rows: int, group: int) -> Any:
  """[groups, c] -> float32[rows, c]."""
  return scale.astype("float32").repeat(group, axis=0)[:rows]


def group_peaks(sizes: Any, group: int) -> Any:
  """[groups * group, c] -> the largest of each group, [groups, c]."""
  groups = len(sizes) // group
  return sizes.reshape(groups, group, sizes.shape[1]).max(axis=1, initial=0)


def scales_for(peaks: Any, most: int) -> Any:
  """The smallest scales with which `most` steps reach the peaks.

  float32, with numbers that bfloat16 has: the upper half of their bits.
  """
  upper = (peaks / most).clip(SMALLEST).view("uint32") >> 16  # Cut off, so
  reached = (upper << 16).view("float32") * most  # this is exact, and
  upper = upper + (reached < peaks)  # one more is enough.
  return (upper << 16).view("float32")


def nearest(weights: Any, scale: Any, most: int) -> Any:
  """The whole numbers, as float32, that are nearest to weights / scale.

  A quotient close to a half may be rounded to it, and then to the wrong side;
  what is left of the weight is exact, and tells.
  """
  values = (weights / scale).round()
  twice = 2 * (weights - values * scale)
  values = values + (twice > scale) - (twice < -scale)
  return values.clip(-most, most)


def bfloat16() -> np.dtype:
  try:
    return np.dtype("bfloat16")
  except TypeError:  # NumPy learns it with jax.
    import jax.numpy as jnp

    return jnp.dtype("bfloat16")


def check_finite(weights: np.ndarray):
  if not (abs(weights) <= LARGEST).all():
    raise ValueError(
      f"weights are to be finite and at most {LARGEST:.3g} to be rounded, and "
      "some are not; see whether the training diverged, and train again, or "
      "keep them in float32"
    )


def _as_rows(weights: Any) -> np.ndarray:
  """[..., c] -> float32[rows, c]."""
  weights = np.asarray(weights)
  if not weights.ndim or weights.dtype != np.float32:
    raise ValueError(
      f"what is rounded is float32 with the channels last, got {weights.dtype}"
      f"{list(weights.shape)}; keep others as they are"
    )
  check_finite(weights)
  return weights.reshape(rows_of(weights.shape), weights.shape[-1])


def _given(scales: Any, shape: tuple[int, ...], most: int) -> np.ndarray:
  scales = np.asarray(scales).astype(bfloat16()).astype(np.float32)
  if scales.shape != shape:
    raise ValueError(
      f"scales of {list(scales.shape)} do not fit these weights, which take "
      f"{list(shape)}"
    )
  if not ((scales >= SMALLEST) & (scales <= LARGEST / most)).all():
    raise ValueError(
      f"scales are to be from {SMALLEST:.3g} to {LARGEST / most:.3g}, and some "
      "are not; leave them out to have them chosen"
    )
  return scales


def _nearest(rows: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
  with np.errstate(over="ignore"):  # It is clipped, with scales of others.
    return nearest(rows, scale, most).astype(np.int8)
