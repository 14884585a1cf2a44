"""LayerNorm and GELU are those of flax, with derivatives of any order."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pwl_jax.models.activations import gelu
from pwl_jax.models.layer_norm import LayerNorm, normal
from tests.cases import assert_close

EPSILON = 1e-5


def flax_norm(dtype=None):
  return nn.LayerNorm(EPSILON, use_fast_variance=False, dtype=dtype)


def flax_normal(x):
  return flax_norm().apply({"params": parameters(1.0, 0.0)}, x)


def parameters(scale, bias):
  return {"scale": jnp.full(6, scale), "bias": jnp.full(6, bias)}


def flax_gelu(x):
  return nn.gelu(x, approximate=False)


PAIRS = {
  "normal": (lambda x: normal(x, EPSILON), flax_normal),
  "gelu": (gelu, flax_gelu),
}


def drawn(offset=0.0):
  rng = np.random.default_rng(0)
  return jnp.asarray(offset + 2 * rng.normal(size=(3, 4, 6)), jnp.float32)


@pytest.mark.parametrize("name", PAIRS)
def test_derivatives_are_those_of_flax(name):
  x, direction = drawn(), jnp.cos(drawn())

  def found(f):
    def loss(x):
      return (f(x) * direction).sum()

    return {
      "value": f(x),
      "forward": jax.jvp(f, (x,), (direction,))[1],
      "backward": jax.grad(loss)(x),
      "twice": jax.jvp(jax.grad(loss), (x,), (direction,))[1],
      "backward twice": jax.grad(lambda x: (jax.grad(loss)(x) ** 2).sum())(x),
    }

  own, theirs = map(found, PAIRS[name])
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), own, theirs)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_layer_is_that_of_flax(dtype):
  x = drawn(offset=100).astype(dtype)
  params = parameters(1.5, 0.5)
  own = LayerNorm(EPSILON, dtype)
  y = own.apply({"params": params}, x)
  expected = flax_norm(dtype).apply({"params": params}, x)
  assert y.dtype == dtype
  np.testing.assert_allclose(
    y.astype(jnp.float32),
    expected.astype(jnp.float32),
    rtol=float(jnp.finfo(dtype).eps),
    atol=1e-5,
  )
  own, theirs = (
    jax.eval_shape(norm.init, jax.random.key(0), x)["params"]
    for norm in (own, flax_norm(dtype))
  )
  assert own == theirs


def test_gelu_is_exact_to_the_last_digits():
  x = np.linspace(-12, 12, 100_001, dtype=np.float32)
  erf = np.vectorize(math.erf)
  wide = x.astype(np.float64)
  exact = 0.5 * wide * (1 + erf(wide * 0.5**0.5))
  error = np.abs(np.asarray(gelu(x)) - exact) / np.maximum(np.abs(wide), 1)
  assert error.max() < 3e-7


def test_gelu_of_bfloat16_is_computed_in_float32():
  x = jnp.linspace(-6, 6, 1001).astype(jnp.bfloat16)
  y, slope = jax.vmap(jax.value_and_grad(gelu))(x)
  wide = jax.vmap(jax.value_and_grad(gelu))(x.astype(jnp.float32))
  assert (y.dtype, slope.dtype) == (jnp.bfloat16, jnp.bfloat16)
  assert y.tolist() == wide[0].astype(jnp.bfloat16).tolist()
  assert slope.tolist() == wide[1].astype(jnp.bfloat16).tolist()
