"""Converters: exact inverses, constraints that survive training, fits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pwl_jax.method import converters
from pwl_jax.method.affine import least_squares


@pytest.fixture(autouse=True)
def _same_numbers_for_every_test():
  global RNG
  RNG = np.random.default_rng(0)


def made(kind, student_width=4, teacher_width=6):
  converter = converters.make_converter(kind, teacher_width, student_width)
  t = jnp.zeros((1, teacher_width))
  return converter, converter.init(jax.random.key(0), t)


def encode(converter, variables, t):
  return converter.apply(variables, t, method="encode")


def decode(converter, variables, s):
  return converter.apply(variables, s, method="decode")


def test_linear_is_an_affine_map_of_the_last_axis_at_every_position():
  converter, variables = made("linear")
  t = RNG.normal(size=(2, 3, 3, 6)).astype(np.float32)
  kernel, bias = (
    variables["params"]["encoder"][name] for name in ("kernel", "bias")
  )
  found = encode(converter, variables, t)
  np.testing.assert_allclose(found, t @ kernel + bias, rtol=1e-5)
  assert decode(converter, variables, found).shape == t.shape


@pytest.mark.parametrize(
  "kind, elsewhere",
  [
    ("auto", converters.LinearConverter),
    ("auto_residual", converters.ResidualConverter),
  ],
)
def test_auto_is_identity_where_widths_are_equal(kind, elsewhere):
  equal, variables = made(kind, 5, 5)
  x = jnp.arange(5.0)
  assert isinstance(equal, converters.IdentityConverter) and variables == {}
  assert encode(equal, variables, x) is x and decode(equal, variables, x) is x
  assert isinstance(made(kind, 4, 5)[0], elsewhere)
  assert isinstance(made("linear", 5, 5)[0], converters.LinearConverter)
  assert isinstance(made("residual", 5, 5)[0], converters.ResidualConverter)


def test_impossible_converters_say_why():
  with pytest.raises(ValueError, match=r"boundary 2.*teacher 6, student 4"):
    converters.make_converter("identity", 6, 4, boundary=2)
  with pytest.raises(ValueError, match="no wider than the teacher"):
    converters.make_converter("orthogonal", 4, 6)
  with pytest.raises(ValueError, match="did you mean 'linear'"):
    converters.make_converter("liner", 4, 6)


@pytest.mark.parametrize("widths", [(4, 6), (5, 5), (1, 3)])
def test_orthogonal_inverts_exactly_and_stays_so_under_training(widths):
  converter, variables = made("orthogonal", *widths)
  s = RNG.normal(size=(32, widths[0])).astype(np.float32)
  t = RNG.normal(size=(32, widths[1])).astype(np.float32)
  tx = optax.chain(
    optax.add_decayed_weights(5e-4), optax.sgd(0.1, momentum=0.9)
  )
  start, state = variables, tx.init(variables)

  @jax.jit
  def step(variables, state):
    def loss(v):
      return jnp.mean((encode(converter, v, t) - 3 * s) ** 2) + jnp.mean(
        (decode(converter, v, s) + 2 * t) ** 2
      )

    updates, state = tx.update(jax.grad(loss)(variables), state, variables)
    return optax.apply_updates(variables, updates), state

  for _ in range(50):
    variables, state = step(variables, state)

  for v in (start, variables):
    q = converters.orthonormal(v["params"]["weight"])
    np.testing.assert_allclose(q.T @ q, np.eye(widths[0]), atol=2e-6)
    trip = encode(converter, v, decode(converter, v, s))
    np.testing.assert_allclose(trip, s, atol=2e-5)
    # Beside the centres, the decoder is the encoder's transpose.
    there = encode(converter, v, t) - encode(converter, v, 0 * t)
    back = decode(converter, v, s) - decode(converter, v, 0 * s)
    np.testing.assert_allclose(there, t @ q, atol=2e-5)
    np.testing.assert_allclose(back, s @ q.T, atol=2e-5)
  moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), start, variables)
  # A 1-by-3 frame, or any, must really have been trained for this to mean it.
  assert min(jax.tree.leaves(moved)) > 1e-3


def test_orthonormal_keeps_what_is_orthonormal_and_survives_bad_scaling():
  q = converters.orthonormal(jnp.array(RNG.normal(size=(6, 4))))
  np.testing.assert_allclose(converters.orthonormal(q), q, atol=1e-6)
  scales = jnp.array([1e-3, 1.0, 1e3, 7.0])
  found = converters.orthonormal(q * scales)
  np.testing.assert_allclose(found.T @ found, np.eye(4), atol=2e-6)


def correlated(rows, width, rank=None):
  """Features like a network's: correlated, off centre, of unequal sizes."""
  mix = RNG.normal(size=(rank or width, width)) * np.logspace(0, -2, width)
  return RNG.normal(size=(rows, rank or width)) @ mix + RNG.normal(size=width)


@pytest.mark.parametrize("rank", [None, 3])
def test_least_squares_is_as_good_as_float64(rank):
  x, y = correlated(500, 8, rank), correlated(500, 5)
  y = y + x @ RNG.normal(size=(8, 5))
  with_ones = np.concatenate([x, np.ones((500, 1))], axis=1)
  best = with_ones @ np.linalg.lstsq(with_ones, y, rcond=1e-10)[0]
  found = least_squares(jnp.array(x, jnp.float32), jnp.array(y, jnp.float32))
  mine = x @ np.asarray(found["kernel"], np.float64) + np.asarray(found["bias"])
  scale = ((y - y.mean(axis=0)) ** 2).sum()
  assert ((mine - y) ** 2).sum() <= ((best - y) ** 2).sum() + 1e-6 * scale


@pytest.mark.parametrize("constant", [0, 1 / 3, -1000])
def test_least_squares_gives_dead_channels_no_weight(constant):
  x = correlated(200, 6).astype(np.float32)
  x[:, 2] = constant
  found = least_squares(jnp.array(x), jnp.array(x[:, :3]))
  assert jnp.isfinite(found["kernel"]).all()
  np.testing.assert_allclose(found["kernel"][2], np.zeros(3), atol=1e-5)
  fitted = x @ found["kernel"] + found["bias"]
  np.testing.assert_allclose(fitted, x[:, :3], rtol=1e-4, atol=1e-4)


def test_least_squares_uses_channels_of_every_size():
  sizes = np.logspace(0, -8, 8)
  x = RNG.normal(size=(300, 8)) * sizes
  y = x / sizes @ RNG.normal(size=(8, 3))
  found = least_squares(jnp.array(x, jnp.float32), jnp.array(y, jnp.float32))
  fitted = x @ np.asarray(found["kernel"], np.float64) + found["bias"]
  np.testing.assert_allclose(fitted, y, atol=1e-4)


def test_least_squares_of_few_rows_goes_through_them():
  x, y = correlated(4, 8), correlated(4, 3)
  found = least_squares(jnp.array(x, jnp.float32), jnp.array(y, jnp.float32))
  np.testing.assert_allclose(x @ found["kernel"] + found["bias"], y, atol=1e-3)


def test_linear_fit_recovers_maps_that_exist():
  t = correlated(300, 6).reshape(3, 10, 10, 6).astype(np.float32)
  s = (t @ RNG.normal(size=(6, 4)) + 0.7).astype(np.float32)
  converter, _ = made("linear")
  variables = converter.fit(jnp.array(t), jnp.array(s))
  np.testing.assert_allclose(encode(converter, variables, t), s, atol=1e-3)


def test_orthogonal_fit_recovers_a_rotation_and_beats_any_other_decoder():
  s = correlated(300, 4).astype(np.float32)
  q = np.linalg.qr(RNG.normal(size=(6, 4)))[0]
  clean = (s - 1) @ q.T + 2
  t = (clean + 0.05 * RNG.normal(size=clean.shape)).astype(np.float32)
  converter, start = made("orthogonal")
  fitted = converter.fit(jnp.array(t), jnp.array(s))
  assert jax.tree.structure(fitted) == jax.tree.structure(start)

  def error(variables):
    return float(jnp.mean((decode(converter, variables, s) - t) ** 2))

  assert error(fitted) < 1.1 * 0.05**2
  for seed in range(10):
    noise = 0.05 * jax.random.normal(jax.random.key(seed), (6, 4))
    other = {"params": dict(fitted["params"])}
    other["params"]["weight"] += noise
    assert error(fitted) <= error(other)


def test_residual_maps_start_linear_and_learn_what_no_linear_one_can():
  s = jnp.array(correlated(400, 4), jnp.float32)
  t = jnp.abs(s @ RNG.normal(size=(4, 6)).astype(np.float32))
  (linear, _), (residual, drawn) = made("linear"), made("residual")

  def error(converter, variables):
    return jnp.mean((decode(converter, variables, s) - t) ** 2)

  start = residual.fit(t, s)
  assert jax.tree.map(jnp.shape, start) == jax.tree.map(jnp.shape, drawn)
  straight = error(linear, linear.fit(t, s))
  np.testing.assert_allclose(error(residual, start), straight, rtol=1e-5)
  tx = optax.adam(0.02)

  @jax.jit
  def step(variables, state):
    gradient = jax.grad(functools.partial(error, residual))(variables)
    updates, state = tx.update(gradient, state)
    return optax.apply_updates(variables, updates), state

  learnt, state = start, tx.init(start)
  for _ in range(200):
    learnt, state = step(learnt, state)
  assert error(residual, learnt) < 0.5 * straight


def test_converters_compute_in_the_dtype_of_the_feature():
  for kind in ("linear", "orthogonal", "residual"):
    converter, variables = made(kind)
    t = jnp.ones((2, 6), jnp.bfloat16)
    assert encode(converter, variables, t).dtype == jnp.bfloat16
    assert variables["params"] and all(
      leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables)
    )
