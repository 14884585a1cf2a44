"""The gradient of a dense layer in parts is the gradient of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pwl_jax.models import parts
from pwl_jax.models.dense import dot_general
from tests.cases import assert_close

ROWS = (2, 7)


def loss(dense, x):
  return lambda params, x=x: (dense.apply({"params": params}, x) ** 2).sum()


@pytest.mark.parametrize("at_once", [1, 4, 8, 14, 1000])
def test_the_gradient_in_parts_is_that_of_the_whole(at_once, monkeypatch):
  x = jnp.asarray(np.random.default_rng(0).normal(size=(*ROWS, 3)), jnp.float32)
  monkeypatch.setattr(parts, "CACHED", at_once * (3 + 5) * 4)
  plain = nn.Dense(5)
  own = nn.Dense(5, dot_general=dot_general)
  params = plain.init(jax.random.key(0), x)["params"]
  found, expected = (
    jax.grad(loss(dense, x), (0, 1))(params, x) for dense in (own, plain)
  )
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-6), found, expected)
  assert own.apply({"params": params}, x).tolist() == (
    plain.apply({"params": params}, x).tolist()
  )


def test_a_gradient_in_bfloat16_is_summed_in_float32(monkeypatch):
  monkeypatch.setattr(parts, "CACHED", 2048)  # 512 rows.
  x = jnp.ones((4096, 1), jnp.bfloat16)
  dense = nn.Dense(1, dtype=jnp.bfloat16, dot_general=dot_general)
  params = {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}

  def total(params):
    return dense.apply({"params": params}, x).astype(jnp.float32).sum()

  assert float(jax.grad(total)(params)["kernel"][0, 0]) == 4096
