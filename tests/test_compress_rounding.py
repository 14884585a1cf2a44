"""Weights as int8 and int4: how far they may move, and how they are packed."""

import jax
import numpy as np
import pytest

from pwl_jax.compress.rounding import (
  GROUP,
  LARGEST,
  MOST,
  SMALLEST,
  by_rows,
  from_int4,
  from_int8,
  nearest,
  rows_of,
  scales_for,
  to_int4,
  to_int8,
)

SHAPES = [(5,), (1, 3), (7, 4), (3, 3, 5, 8), (65, 2), (2, 0), (0, 3)]
MAGNITUDES = [1e-44, 1e-38, 3e-38, 1e-20, 6e-5, 1.0, 1e20, 1e37, LARGEST]


def weights(shape, kind, seed=0):
  rng = np.random.default_rng(seed)
  found = rng.standard_t(3, size=shape) / 8
  if kind == "uniform":
    found = rng.uniform(-1, 1, size=shape)
  elif kind == "outlier":
    found = found * 1e-3
    found.flat[:1] = 1
  elif kind == "zeros":
    found = found * 0
  return found


def step_by_row(whole, shape, precision):
  if precision == "int8":
    return np.broadcast_to(whole.scale.astype(np.float64), shape)
  scale = by_rows(whole.scale, rows_of(shape), GROUP)
  return scale.reshape(shape).astype(np.float64)


def there_and_back(array, precision, **scales):
  """What is stored, and the function that restores it."""
  if precision == "int8":
    return to_int8(array, **scales), from_int8
  return to_int4(array, **scales), lambda whole: from_int4(whole, array.shape)


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["tails", "uniform", "outlier", "zeros"])
def test_no_weight_moves_by_more_than_half_a_step(precision, shape, kind):
  for magnitude in MAGNITUDES:
    exact = weights(shape, kind) * magnitude
    array = np.clip(exact, -LARGEST, LARGEST).astype(np.float32)
    whole, back = there_and_back(array, precision)
    steps = step_by_row(whole, shape, precision)
    found = back(whole)
    assert found.dtype == np.float32 and found.shape == shape
    moved = np.abs(found.astype(np.float64) - array.astype(np.float64))
    assert (moved <= steps / 2).all()


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_scales_are_the_smallest_that_clip_nothing(precision):
  most = MOST[precision]
  rng = np.random.default_rng(1)
  peaks = rng.uniform(1, 2, 5000) * 2.0 ** rng.integers(-110, 126, 5000)
  steps = rng.integers(128, 256, 1000) * 2.0 ** rng.integers(-100, 100, 1000)
  # What `most` steps of a bfloat16 reach exactly, and the numbers beside it.
  even = (steps * most).astype(np.float32)
  beside = [np.nextafter(even, np.float32(way)) for way in (0, np.inf)]
  peaks = np.concatenate([peaks.astype(np.float32), even, *beside])
  scale = scales_for(peaks, most)
  assert not (scale.view(np.uint32) & 0xFFFF).any()  # bfloat16 has them.
  before = (scale.view(np.uint32) - 0x10000).view(np.float32)
  assert (most * scale.astype(np.float64) >= peaks).all()
  assert (most * before.astype(np.float64) < peaks).all()


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("run", [lambda f: f, jax.jit], ids=["numpy", "jit"])
def test_quotients_beside_a_half_go_to_the_right_side(precision, run):
  most = MOST[precision]
  scale = (np.arange(128, 256) / 128).astype(np.float32)
  halves = (np.arange(-most, most)[:, None] + 0.5) * scale  # Exact in float32.
  halves = halves.astype(np.float32)
  beside = [np.nextafter(halves, np.float32(way)) for way in (-np.inf, np.inf)]
  array = np.stack([halves, *beside])
  steps = run(lambda array: nearest(array, scale, most))(array)
  steps = np.asarray(steps, np.float64)
  assert (np.abs(array - steps * scale) <= scale / 2).all()


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_traced_program_restores_the_same_bits(precision, shape):
  for magnitude in (1e-38, 1.0, 1e37):
    array = (weights(shape, "tails") * magnitude).astype(np.float32)
    whole, back = there_and_back(array, precision)
    found = np.asarray(jax.jit(back)(whole))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
      found.view(np.uint32), back(whole).view(np.uint32)
    )


def test_products_are_exact_and_never_too_small_for_a_processor():
  array = (weights((40, 6), "tails") * 1e-38).astype(np.float32)
  whole = to_int8(array)
  assert (whole.scale.astype(np.float64) >= SMALLEST).all()
  product = whole.values.astype(np.float64) * whole.scale.astype(np.float64)
  np.testing.assert_array_equal(from_int8(whole), product)


def test_two_rows_share_a_byte_the_even_one_in_its_low_half():
  array = np.array([[7, -7], [-1, 3], [2, 0]], np.float32)
  whole = to_int4(array)
  np.testing.assert_array_equal(whole.scale.astype(np.float32), [[1, 1]])
  np.testing.assert_array_equal(whole.values, [[0xF7, 0x39], [0x02, 0x00]])
  assert whole.values.dtype == np.uint8
  np.testing.assert_array_equal(from_int4(whole, (3, 2)), array)


def test_int4_has_a_scale_for_each_group_of_rows():
  array = np.ones((3, 2, 8, 2), np.float32)  # 48 rows.
  array.reshape(48, 2)[32:] = 1e-3
  whole = to_int4(array)
  assert whole.scale.shape == (2, 2) and whole.values.shape == (24, 2)
  np.testing.assert_allclose(from_int4(whole, array.shape), array, rtol=1e-2)
  coarse = to_int4(array, group=48)  # One outlier spoils them all.
  assert not from_int4(coarse, array.shape, group=48).reshape(48, 2)[32:].any()


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_what_given_scales_do_not_reach_is_clipped(precision):
  array = np.array([[1.0, -0.25], [-100.0, 0.3]], np.float32)
  shape = (2,) if precision == "int8" else (1, 2)
  whole, back = there_and_back(
    array, precision, scales=np.full(shape, 0.0625, np.float32)
  )
  reach = MOST[precision] * 0.0625
  np.testing.assert_array_equal(
    back(whole), np.clip([[1.0, -0.25], [-100.0, 0.3125]], -reach, reach)
  )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_what_cannot_be_rounded_says_what_to_do(bad):
  array = np.ones((4, 2), np.float32)
  array[2, 1] = bad
  for to in (to_int8, to_int4):
    with pytest.raises(ValueError, match="train again, or keep them"):
      to(array)


@pytest.mark.parametrize(
  "scales,message",
  [
    (np.ones(3), "take \\[2\\]"),
    (np.zeros(2), "leave them out"),
    (np.full(2, np.nan), "leave them out"),
    (np.full(2, 1e-40), "leave them out"),
    (np.full(2, 1e37), "leave them out"),
  ],
)
def test_scales_that_cannot_be_are_refused(scales, message):
  with pytest.raises(ValueError, match=message):
    to_int8(np.ones((4, 2), np.float32), scales=scales)


def test_other_arrays_are_refused():
  for array in (np.float32(1), np.ones((2, 2)), np.ones((2, 2), np.int8)):
    with pytest.raises(ValueError, match="keep others as they are"):
      to_int8(array)
