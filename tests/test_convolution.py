"""Every form of a convolution is the plain one, with its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.models import layers, parts
from tests.cases import assert_close

# (sides, kernel, stride, padding) by the form taken on a CPU.
CASES = {
  "few pixels": ((2, 2), 3, 1, 1),
  "few of an oblong": ((3, 2), 3, 2, 1),
  "few of many": ((7, 6), 5, 2, 0),
  "1x1 on few": ((4, 1), 1, 2, 0),
  "1x1": ((9, 8), 1, 1, 0),
  "1x1 strided": ((9, 8), 1, 2, 0),
  "3x3": ((9, 8), 3, 1, 1),
  "3x3 strided, odd": ((9, 12), 3, 2, 1),
  "7x7 strided": ((16, 16), 7, 2, 3),
  "even kernel": ((8, 9), 2, 1, 1),
  "patches": ((16, 16), 4, 4, 0),
}
IMAGES, CHANNELS, FEATURES = 5, 3, 6


def arrays(sides, kernel):
  rng = np.random.default_rng(0)
  return (
    rng.normal(size=(IMAGES, *sides, CHANNELS)),
    rng.normal(size=(kernel, kernel, CHANNELS, FEATURES)),
  )


def own(kernel, stride, padding, dtype=jnp.float32):
  conv = layers.conv(
    FEATURES, kernel, stride, padding=padding, dtype=dtype, name="conv"
  )
  return lambda x, weights: conv.apply({"params": {"kernel": weights}}, x)


def plain(stride, padding):
  return lambda x, weights: jax.lax.conv_general_dilated(
    x,
    weights,
    (stride, stride),
    ((padding, padding), (padding, padding)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def with_gradients(f, x, weights):
  loss = jax.grad(lambda *a: (f(*a).astype(x.dtype) ** 2).sum(), (0, 1))
  return f(x, weights), *loss(x, weights)


@pytest.mark.parametrize("split", ["one", "two and a rest", "one image each"])
@pytest.mark.parametrize("name", CASES)
def test_all_forms_are_the_plain_one(name, split, monkeypatch):
  sides, kernel, stride, padding = CASES[name]
  x, weights = arrays(sides, kernel)
  with jax.enable_x64(True):
    expected = with_gradients(
      plain(stride, padding), *map(jnp.array, (x, weights))
    )
  image = np.prod(expected[0].shape[1:3]) * weights[..., 0].size * 4
  at_once = {"one": IMAGES, "two and a rest": 2, "one image each": 0}[split]
  monkeypatch.setattr(parts, "CACHED", int(image * at_once))
  found = with_gradients(
    own(kernel, stride, padding),
    jnp.asarray(x, jnp.float32),
    jnp.asarray(weights, jnp.float32),
  )
  for a, b in zip(found, expected, strict=True):
    assert a.dtype == jnp.float32
    assert_close(a, b, 1e-5)


def test_bfloat16_sums_its_gradients_in_float32(monkeypatch):
  """Over 2**12 pixels, where bfloat16 would stop adding ones at 256."""
  monkeypatch.setattr(parts, "CACHED", 1)
  x = jnp.ones((4, 32, 32, 1))
  weights = jnp.ones((3, 3, 1, 1))
  conv = layers.conv(1, 3, dtype=jnp.bfloat16, name="conv")

  def total(weights):
    out = conv.apply({"params": {"kernel": weights}}, x)
    return out.astype(jnp.float32).sum()

  found = jax.jit(jax.grad(total))(weights)
  assert float(found[1, 1, 0, 0]) == 4096


def test_it_maps_and_is_differentiated_twice(monkeypatch):
  monkeypatch.setattr(parts, "CACHED", 1)
  sides, kernel, stride, padding = CASES["3x3 strided, odd"]
  x, weights = (jnp.asarray(a, jnp.float32) for a in arrays(sides, kernel))

  def second(f):
    def first(weights):
      return jnp.sum(jax.grad(lambda w: (f(x, w) ** 3).sum())(weights) ** 2)

    return jax.vmap(jax.grad(first))(jnp.stack([weights, 2 * weights]))

  found, expected = map(
    second, (own(kernel, stride, padding), plain(stride, padding))
  )
  assert_close(found, expected, 1e-4)
