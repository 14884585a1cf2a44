"""Rounding inside of training: the served numbers, straight gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.compress.fake import fake_quantised
from pwl_jax.compress.leaves import rounded
from pwl_jax.compress.rounding import PRECISIONS

COARSE = [name for name in PRECISIONS if name != "float32"]


def params(magnitude=1.0, seed=0):
  rng = np.random.default_rng(seed)

  def draw(*shape):
    values = rng.standard_t(4, size=shape) * magnitude
    return jnp.asarray(values, jnp.float32)

  return {
    "conv": {"kernel": draw(3, 3, 5, 8), "bias": draw(8)},
    "dense": {"kernel": draw(45, 70), "bias": draw(70)},
    "token": draw(1, 1, 6),
    "small": draw(9) * 1e-6,
    "mixed": draw(9) * jnp.float32(10.0) ** -jnp.arange(9),
  }


def served(tree, precision):
  """What `leaves.rounded` makes of them, in a tree again."""
  leaves, structure = jax.tree.flatten(tree)
  named = {f"params/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
  return structure.unflatten(list(rounded(named, precision).values()))


def same(found, wanted):
  jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("magnitude", [1e-30, 1e-5, 0.02, 1.0, 1e4, 1e30])
def test_the_forward_pass_sees_what_is_served(precision, magnitude):
  tree = params(magnitude)
  wanted = served(tree, precision)
  same(jax.jit(fake_quantised, static_argnums=1)(tree, precision), wanted)
  same(fake_quantised(tree, precision), wanted)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_quotients_near_a_half_are_served_alike(precision):
  rng = np.random.default_rng(0)
  most = {"int8": 127, "int4": 7}[precision]
  kernel = (rng.integers(-most, most, (320, 64)) + 0.5).astype(np.float32)
  kernel[::32] = most  # Every group has steps of 1, times what follows.
  kernel *= (1 + np.arange(64) / 128).astype(np.float32)
  kernel[5::7] = np.nextafter(kernel[5::7], np.float32(np.inf))
  tree = {"kernel": jnp.asarray(kernel)}
  found = jax.jit(fake_quantised, static_argnums=1)(tree, precision)
  same(found, served(tree, precision))


@pytest.mark.parametrize("precision", COARSE)
def test_gradients_pass_as_if_nothing_was_rounded(precision):
  tree = params()
  weight = params(seed=1)

  def loss(tree):
    products = jax.tree.map(
      lambda a, b: (a * b).sum(), fake_quantised(tree, precision), weight
    )
    return sum(jax.tree.leaves(products))

  same(jax.jit(jax.grad(loss))(tree), weight)


@pytest.mark.parametrize("precision", COARSE)
def test_trees_of_many_are_rounded_one_by_one(precision):
  trees = [params(seed=seed) for seed in range(3)]
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
  found = jax.vmap(lambda tree: fake_quantised(tree, precision))(stacked)
  for i, tree in enumerate(trees):
    same(
      jax.tree.map(lambda leaf, i=i: leaf[i], found), served(tree, precision)
    )


def test_an_unknown_precision_is_refused():
  with pytest.raises(ValueError, match="unknown precision 'int2'"):
    fake_quantised(params(), "int2")
