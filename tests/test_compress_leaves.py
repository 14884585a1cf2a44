"""The leaves of a unit in each precision, and the way back."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.bundle.names import flat
from pwl_jax.compress.leaves import (
  decode,
  encode,
  halved,
  precision_of,
  rounded,
)
from pwl_jax.compress.rounding import PRECISIONS


def unit(seed=0):
  rng = np.random.default_rng(seed)

  def draw(*shape):
    return rng.normal(size=shape).astype(np.float32)

  return {
    "params/conv/kernel": draw(3, 3, 5, 6),
    "params/conv/bias": draw(6),
    "params/norm/scale": draw(6),
    "params/embed/class_token": draw(1, 1, 6),
    "params/embed/words": draw(33, 6),
    "batch_stats/norm/mean": draw(6),
    "batch_stats/norm/table": draw(4, 6),
  }


def shapes_of(leaves):
  return {name: leaf.shape for name, leaf in leaves.items()}


def dtypes_of(stored):
  return {name: str(leaf.dtype) for name, leaf in stored.items()}


def same_bits(found, wanted):
  assert found.keys() == wanted.keys()
  for name, leaf in wanted.items():
    array = np.asarray(found[name])
    assert array.dtype == leaf.dtype and array.shape == leaf.shape, name
    assert array.tobytes() == leaf.tobytes(), name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_measured_is_what_is_served(precision):
  leaves = unit()
  leaves["params/conv/bias"][:] *= 1e-38  # Among them what float16 has not.
  leaves["params/norm/scale"][1] = 1e-7
  stored = encode(leaves, precision)
  shapes = shapes_of(leaves)
  served = jax.jit(lambda stored: decode(stored, shapes))(stored)
  measured = rounded(leaves, precision)
  assert list(measured) == list(leaves)
  same_bits(served, measured)
  same_bits(rounded(measured, "float32"), measured)


def test_float32_is_what_it_was():
  leaves = unit()
  same_bits(encode(leaves, "float32"), leaves)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_batch_statistics_keep_their_names_and_dtypes(precision):
  leaves = unit()
  stats = {n: leaf for n, leaf in leaves.items() if n.startswith("batch_stats")}
  stored = encode(leaves, precision)
  same_bits({name: stored[name] for name in stats}, stats)


def test_the_names_and_dtypes_of_each_precision():
  leaves = unit()
  bfloat16 = dtypes_of(encode(leaves, "bfloat16"))
  assert {bfloat16[name] for name in leaves if "params" in name} == {"bfloat16"}
  for precision, values in (("int8", "int8"), ("int4", "uint8")):
    found = dtypes_of(encode(leaves, precision))
    for name in ("params/conv/kernel", "params/embed/words"):
      assert found.pop(f"{name}/{precision}") == values
      assert found.pop(f"{name}/scale") == "bfloat16"
    for name in ("params/conv/bias", "params/embed/class_token"):
      assert found.pop(f"{name}/int8") == "int8"
      assert found.pop(f"{name}/scale") == "bfloat16"
    assert found.pop("params/norm/scale") == "float16"  # Of a batch norm.
    assert {name.split("/")[0] for name in found} == {"batch_stats"}


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_vector_is_whole_where_one_scale_does_for_it(precision):
  rng = np.random.default_rng(3)
  leaves = {
    "params/even": rng.normal(size=50).astype(np.float32),
    "params/zero": np.zeros(4, np.float32),
    "params/spread": np.float32(10) ** -np.arange(5, dtype=np.float32),
    "params/one": np.ones(2, np.float32),
    "params/number": np.array(1.5, np.float32),
  }
  stored = encode(leaves, precision)
  assert dtypes_of(stored) == {
    "params/even/int8": "int8", "params/even/scale": "bfloat16",
    "params/zero/int8": "int8", "params/zero/scale": "bfloat16",
    "params/spread": "float16", "params/one": "float16",
    "params/number": "float16",
  }  # fmt: skip
  found = decode(stored, shapes_of(leaves))
  step = stored["params/even/scale"].astype(np.float32)
  assert (abs(found["params/even"] - leaves["params/even"]) <= step / 2).all()
  np.testing.assert_array_equal(found["params/zero"], 0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_precision_can_be_seen(precision):
  assert precision_of(dtypes_of(encode(unit(), precision))) == precision


def test_units_take_the_bytes_of_their_precision():
  leaves = {"params/kernel": np.ones((640, 100), np.float32)}
  nbytes = {
    precision: sum(leaf.nbytes for leaf in encode(leaves, precision).values())
    for precision in PRECISIONS
  }
  share = {name: size / nbytes["float32"] for name, size in nbytes.items()}
  assert share["bfloat16"] == 0.5
  assert 0.25 < share["int8"] < 0.26
  assert 0.125 < share["int4"] < 0.15


@pytest.mark.parametrize(
  "values,survives",
  [
    ([1.0, -3.14159, 65504.0], True),
    ([1.0, 1e-7], True),  # Moves by less than float32 sees beside 1.
    ([0.0, 0.0], True),
    ([7e-5, 7e-5], True),
    ([3e-8, 1e-8], False),  # All there is, and nearly gone.
    ([2e-6, 1e-6], False),
    ([1.0, 70000.0], False),
    ([], True),
  ],
)
def test_float16_is_taken_where_it_loses_next_to_nothing(values, survives):
  leaf = np.array(values, np.float32)
  found = halved(leaf)
  assert found.dtype == (np.float16 if survives else np.float32)
  np.testing.assert_allclose(
    found.astype(np.float64), leaf, rtol=2**-10, atol=2e-6
  )


def test_a_precision_that_is_none_is_refused():
  with pytest.raises(ValueError, match="did you mean 'int8'"):
    encode(unit(), "int88")


@pytest.mark.parametrize("precision", ["bfloat16", "int8", "int4"])
@pytest.mark.parametrize("name", ["params/conv/kernel", "params/conv/bias"])
def test_a_leaf_that_is_not_finite_is_named(precision, name):
  leaves = unit()
  leaves[name].flat[3] = np.nan
  with pytest.raises(ValueError, match=f"{name}: weights are to be finite"):
    encode(leaves, precision)


def test_a_leaf_that_is_missing_is_named():
  leaves = unit()
  stored = encode(leaves, "int8")
  del stored["params/conv/kernel/scale"]
  with pytest.raises(ValueError, match="of params/conv/kernel nothing"):
    decode(stored, shapes_of(leaves))


def test_scales_can_be_given_to_kernels_alone():
  leaves = unit()
  scales = {"params/conv/kernel": np.full(6, 0.25, np.float32)}
  stored = encode(leaves, "int8", scales=scales)
  scale = stored["params/conv/kernel/scale"]
  np.testing.assert_array_equal(scale.astype(np.float32), 0.25)
  for name, precision in (("conv/bias", "int8"), ("conv/kernel", "float32")):
    with pytest.raises(ValueError, match="give those of kernels"):
      encode(leaves, precision, scales={f"params/{name}": np.ones(6)})


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_vit", "tiny_text"])
def test_every_network_survives(tiny, name, precision):
  case = tiny(name)
  for network in ("teacher", "student"):
    for variables in case.variables[network].values():
      leaves = {k: np.asarray(v) for k, v in flat(variables).items()}
      found = rounded(leaves, precision)
      for path, leaf in leaves.items():
        loose = {"float32": 0, "bfloat16": 0.01, "int8": 0.01, "int4": 0.1}
        np.testing.assert_allclose(
          found[path], leaf, rtol=0, atol=loose[precision] * abs(leaf).max()
        )


def test_serving_unpacks_without_jax():
  """In a process of its own, since this one has it."""
  code = (
    "import sys\n"
    "from pwl_jax.compress import exact, leaves, rounding\n"
    "assert not {'jax', 'flax', 'ml_dtypes'} & sys.modules.keys()"
  )
  subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_jax_arrays_are_taken_too():
  leaves = unit()
  same_bits(
    encode({name: jnp.asarray(leaf) for name, leaf in leaves.items()}, "int8"),
    encode(leaves, "int8"),
  )
