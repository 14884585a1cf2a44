"""Coarse and rest make every bit; what is damaged is seen."""

import numpy as np
import pytest

from pwl_jax.compress import exact
from pwl_jax.compress.exact import join, rest_of
from pwl_jax.compress.leaves import encode, rounded


def every_kind_of_number():
  """All exponents and signs, with zeros and denormals, but all are finite."""
  rng = np.random.default_rng(0)
  bits = rng.integers(0, 2**32, 4096, dtype=np.uint32)
  found = bits.view(np.float32)
  ends = np.finfo(np.float32)
  special = [0.0, -0.0, ends.max, ends.min, ends.tiny, ends.smallest_subnormal]
  return np.concatenate([found[np.isfinite(found)], np.float32(special)])


def trained(*shape, seed=0):
  """Kernels look like this: bells with long tails."""
  rng = np.random.default_rng(seed)
  return (rng.standard_t(8, size=shape) / 50).astype(np.float32)


def parts(leaf, precision):
  """The coarse array of a leaf, and what it takes on disk."""
  leaves = {"params/kernel": leaf}
  stored = encode(leaves, precision)
  nbytes = sum(array.nbytes for array in stored.values())
  return rounded(leaves, precision)["params/kernel"], nbytes


def bits(array):
  return array.view(np.uint32)


@pytest.mark.parametrize("shift", [0, 1, 77])
def test_every_float32_comes_back_from_any_other(shift):
  ours = every_kind_of_number()
  for coarse in (np.roll(ours, shift), np.zeros_like(ours), -ours):
    found = join(coarse, rest_of(ours, coarse), ours.shape)
    np.testing.assert_array_equal(bits(found), bits(ours))


@pytest.mark.parametrize("precision", ["bfloat16", "int8", "int4"])
@pytest.mark.parametrize("shape", [(3, 3, 16, 24), (1, 5), (7,), (0, 3)])
def test_a_leaf_comes_back_in_its_shape(precision, shape):
  ours = trained(*shape)
  coarse, _ = parts(ours, precision)
  found = join(coarse, rest_of(ours, coarse), shape)
  assert found.shape == shape and found.dtype == np.float32
  np.testing.assert_array_equal(bits(found), bits(ours))


def test_leaves_larger_than_a_chunk_come_back(monkeypatch):
  monkeypatch.setattr(exact, "CHUNK", 100)
  ours = trained(130, 7)
  coarse, _ = parts(ours, "int8")
  found = join(coarse, rest_of(ours, coarse), ours.shape)
  np.testing.assert_array_equal(bits(found), bits(ours))


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_coarse_and_rest_take_less_than_float32(precision):
  ours = trained(576, 128)
  coarse, nbytes = parts(ours, precision)
  rest = rest_of(ours, coarse)
  assert {array.dtype.kind for array in rest.values()} == {"u"}
  total = nbytes + sum(array.nbytes for array in rest.values())
  assert total < 0.91 * ours.nbytes


def test_what_was_pruned_takes_next_to_nothing():
  ours = trained(576, 128)
  ours[np.random.default_rng(1).random(ours.shape) < 0.9] = 0
  coarse, _ = parts(ours, "int8")
  rest = sum(array.nbytes for array in rest_of(ours, coarse).values())
  assert rest < 0.1 * ours.nbytes


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
  fine, broken = np.float32([1, 2]), np.float32([1, bad])
  with pytest.raises(ValueError, match="exact array has numbers that are not"):
    rest_of(broken, fine)
  with pytest.raises(ValueError, match="coarse array has numbers that are not"):
    rest_of(fine, broken)


def test_arrays_that_do_not_belong_together_are_refused():
  ours = trained(8, 4)
  rest = rest_of(ours, ours)
  with pytest.raises(ValueError, match="32 numbers and the coarse one 16"):
    rest_of(ours, ours[:4])
  with pytest.raises(ValueError, match="float32 both"):
    rest_of(ours.astype(np.float64), ours)
  with pytest.raises(ValueError, match="is none of"):
    join(ours, rest, (4, 4))
  with pytest.raises(ValueError, match="damaged"):
    join(ours[:4], rest, (4, 4))


@pytest.fixture(scope="module")
def stored():
  ours = trained(64, 64)
  coarse, _ = parts(ours, "int8")
  rest = rest_of(ours, coarse)
  assert len(rest["middle"]) < ours.size and len(rest["low"]) == ours.size
  return ours, coarse, rest


@pytest.mark.parametrize("plane", ["low", "middle", "high"])
@pytest.mark.parametrize(
  "damage",
  {
    "cut": lambda a: a[:-1],
    "empty": lambda a: a[:0],
    "more": lambda a: np.append(a, a[:1]),
    "twice": lambda a: np.concatenate([a, a]),
    "other dtype": lambda a: a.astype(np.int32),
    "two axes": lambda a: a[None],
  }.items(),
  ids=lambda damage: damage[0],
)
def test_a_damaged_rest_is_never_joined(stored, plane, damage):
  ours, coarse, rest = stored
  with pytest.raises(ValueError, match="damaged"):
    join(coarse, {**rest, plane: damage[1](rest[plane])}, ours.shape)


@pytest.mark.parametrize("plane", ["middle", "high"])
def test_no_flipped_bit_of_a_packed_plane_goes_unseen(stored, plane):
  ours, coarse, rest = stored
  for place in range(len(rest[plane])):
    flipped = rest[plane].copy()
    flipped[place] ^= 1 << place % 8
    try:
      found = join(coarse, {**rest, plane: flipped}, ours.shape)
    except ValueError as error:
      assert "damaged" in str(error)
    else:  # Bits that say nothing, such as the level in zlib's header.
      np.testing.assert_array_equal(bits(found), bits(ours))


@pytest.mark.parametrize("plane", ["low", "middle", "high"])
def test_a_rest_has_all_its_planes(stored, plane):
  ours, coarse, rest = stored
  fewer = {name: array for name, array in rest.items() if name != plane}
  for wrong in (fewer, {**rest, "other": rest[plane]}, {}):
    with pytest.raises(ValueError, match="it consists of"):
      join(coarse, wrong, ours.shape)


def test_what_is_not_finite_was_damaged():
  ours = np.full(64, np.finfo(np.float32).max)
  rest = rest_of(ours, ours)
  low = np.zeros(64, np.uint16)
  np.testing.assert_array_equal(join(ours, {**rest, "low": low}, (64,)), ours)
  low[9] ^= 1  # One more is infinity.
  with pytest.raises(ValueError, match="damaged: it leads to numbers that are"):
    join(ours, {**rest, "low": low}, (64,))
