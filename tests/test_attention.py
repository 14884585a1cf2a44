"""Attention is what jax.nn computes, with its gradients, and as exact."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.models.attention import attend
from tests.cases import assert_close

BATCH, TOKENS, HEADS, WIDTH = 3, 5, 2, 4
SHAPE = (BATCH, TOKENS, HEADS, WIDTH)
# The last text has no key at all.
MASK = np.arange(TOKENS) < np.array([[5], [2], [0]])


def drawn(scale=1.0, dtype=jnp.float32):
  rng = np.random.default_rng(0)
  return [jnp.asarray(scale * rng.normal(size=SHAPE), dtype) for _ in range(3)]


def theirs(query, key, value, mask=None):
  mask = None if mask is None else mask[:, None, None, :]
  return jax.nn.dot_product_attention(query, key, value, mask=mask)


def exact(query, key, value, mask):
  """In float64, a head of an image at a time."""
  query, key, value = (np.asarray(a, np.float64) for a in (query, key, value))
  result = np.zeros(SHAPE)
  for b, h in np.ndindex(BATCH, HEADS):
    scores = query[b, :, h] @ key[b, :, h].T / np.sqrt(WIDTH)
    if mask is not None:
      scores[:, ~mask[b]] = -1e9
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    result[b, :, h] = weights @ value[b, :, h] / weights.sum(-1, keepdims=True)
  return result


def with_gradients(attend, arrays, mask=None):
  y, gradients = jax.vjp(lambda *arrays: attend(*arrays, mask), *arrays)
  return y, *gradients(
    jnp.cos(jnp.arange(y.size)).reshape(SHAPE).astype(y.dtype)
  )


@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
@pytest.mark.parametrize("scale", [1, 4])
def test_it_is_that_of_jax_with_its_gradients(mask, scale):
  arrays = drawn(scale)
  found, expected = (with_gradients(f, arrays, mask) for f in (attend, theirs))
  jax.tree.map(lambda a, b: assert_close(a, b, 3e-6), found, expected)
  assert_close(found[0], exact(*arrays, mask), 1e-6)


def test_a_query_without_keys_gets_the_mean_of_all_values():
  query, key, value = drawn()
  y = attend(query, key, value, MASK)
  means = jnp.broadcast_to(value[2].mean(0), SHAPE[1:])
  np.testing.assert_allclose(y[2], means, rtol=1e-5)


def test_scores_beyond_what_exp_can_take_are_no_trouble():
  for a in with_gradients(attend, drawn(1e4), MASK):
    assert jnp.isfinite(a).all()


def test_in_bfloat16_it_is_about_as_exact_as_that_of_jax():
  arrays = drawn(dtype=jnp.bfloat16)
  found = with_gradients(attend, arrays)
  assert {a.dtype for a in found} == {jnp.dtype(jnp.bfloat16)}
  own, other = (
    np.abs(np.asarray(f(*arrays), np.float64) - exact(*arrays, None)).max()
    for f in (attend, theirs)
  )
  assert own < 1.5 * other


def test_it_is_differentiated_forward_and_twice():
  query, key, value = drawn()

  def curvature(attend):
    def loss(query):
      return (attend(query, key, value) ** 2).sum()

    return jax.jvp(jax.grad(loss), (query,), (key,))[1]

  assert_close(curvature(attend), curvature(theirs), 1e-5)


def test_any_number_of_images_is_one_program():
  (batch,) = jax.export.symbolic_shape("b")
  shape = jax.ShapeDtypeStruct((batch, *SHAPE[1:]), jnp.float32)
  exported = jax.export.export(jax.jit(attend))(shape, shape, shape)
  arrays = drawn()
  assert_close(exported.call(*arrays), attend(*arrays), 1e-6)
