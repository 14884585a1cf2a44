"""Each term against float64 and against numbers known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.method import losses

RNG = np.random.default_rng(0)


def log_softmax64(x):
  x = np.asarray(x, np.float64)
  shifted = x - x.max(axis=-1, keepdims=True)
  return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def distance64(a, b):
  a, b = (np.asarray(f, np.float64).reshape(len(f), -1) for f in (a, b))
  norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
  return ((a - b) ** 2).mean(axis=1) + 1 - (a * b).sum(axis=1) / norms


def test_hard_loss_of_equal_logits_is_log_k():
  found = losses.hard_loss(jnp.full((3, 10), 4.0), jnp.array([0, 5, 9]))
  np.testing.assert_allclose(found, np.full(3, np.log(10)), rtol=1e-6)


def test_hard_loss_in_float64():
  logits, labels = 5 * RNG.normal(size=(6, 10)), np.arange(6)
  expected = -log_softmax64(logits)[np.arange(6), labels]
  found = losses.hard_loss(jnp.array(logits), jnp.array(labels))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_soft_loss_in_float64(temperature):
  student, teacher = 5 * RNG.normal(size=(2, 6, 10))
  log_p, log_q = (log_softmax64(x / temperature) for x in (teacher, student))
  expected = temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
  found = losses.soft_loss(
    jnp.array(student), jnp.array(teacher), temperature=temperature
  )
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_soft_loss_vanishes_only_where_logits_agree_up_to_a_shift():
  logits = jax.random.normal(jax.random.key(0), (8, 10))
  same = losses.soft_loss(logits + 3, logits, temperature=2.0)
  other = losses.soft_loss(logits[::-1], logits, temperature=2.0)
  np.testing.assert_allclose(same, np.zeros(8), atol=1e-5)
  assert (other > 1e-3).all()


def test_decoupled_loss_in_float64():
  """Two answers, the label or not; and the other classes by themselves."""
  student, teacher = 3 * RNG.normal(size=(2, 6, 10))
  labels, rows = RNG.integers(10, size=6), np.arange(6)
  p, q = (np.exp(log_softmax64(x / 2.0)) for x in (teacher, student))
  expected = np.zeros(6)
  for row in rows:
    sure = [np.array([x[row, labels[row]]]) for x in (p, q)]
    binary = [np.append(x, 1 - x) for x in sure]
    others = [np.delete(x[row], labels[row]) for x in (p, q)]
    others = [x / x.sum() for x in others]
    for weight, (of_p, of_q) in ((1, binary), (3, others)):
      expected[row] += 4 * weight * (of_p * np.log(of_p / of_q)).sum()
  for answers in (labels, np.eye(10)[labels] * 0.9 + 0.01):
    found = losses.decoupled_loss(
      *map(jnp.array, (student, teacher, answers)),
      temperature=2.0,
      others_weight=3.0,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_decoupled_loss_is_the_soft_loss_where_others_weigh_what_is_left():
  student, teacher = jnp.array(3 * RNG.normal(size=(2, 6, 10)))
  labels = jnp.arange(6)
  left = 1 - jax.nn.softmax(teacher / 2)[labels, labels]
  found = losses.decoupled_loss(
    student, teacher, labels, temperature=2.0, others_weight=left
  )
  soft = losses.soft_loss(student, teacher, temperature=2.0)
  np.testing.assert_allclose(found, soft, rtol=1e-4)


@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_decoupled_loss_of_teachers_who_are_sure_has_finite_gradients(size):
  teacher, labels = size * jnp.eye(4), jnp.arange(4)

  def loss(logits):
    return losses.decoupled_loss(
      logits, teacher, labels, temperature=2.0, others_weight=2.0
    ).sum()

  for logits in (-teacher, jnp.zeros((4, 4)), teacher[::-1]):
    assert jnp.isfinite(loss(logits))
    assert jnp.isfinite(jax.grad(loss)(logits)).all()
  np.testing.assert_allclose(loss(teacher + 3), 0, atol=1e-5)
  np.testing.assert_allclose(jax.grad(loss)(teacher), 0, atol=1e-5)


@pytest.mark.parametrize("temperature", [0, -1.0])
def test_temperature_must_be_positive(temperature):
  same = jnp.ones((1, 2)), jnp.ones((1, 2))
  with pytest.raises(ValueError, match="positive"):
    losses.soft_loss(*same, temperature=temperature)
  with pytest.raises(ValueError, match="positive"):
    losses.decoupled_loss(
      *same, jnp.array([0]), temperature=temperature, others_weight=2.0
    )


@pytest.mark.parametrize("shape", [(5, 4, 4, 3), (5, 7, 6), (5, 9)])
def test_distance_in_float64(shape):
  a, b = RNG.normal(size=(2, *shape)).astype(np.float32)
  np.testing.assert_allclose(losses.distance(a, b), distance64(a, b), rtol=1e-5)


def test_distance_by_hand():
  a = jnp.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
  b = jnp.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
  # Orthogonal: 1 + 1. Parallel: 1/2 + 0. Opposite: 4 + 2.
  np.testing.assert_allclose(losses.distance(a, b), [2, 0.5, 6], rtol=1e-6)


def test_distance_to_a_dead_feature_has_finite_gradients():
  def total(a, b):
    return losses.distance(a, b).sum()

  zero, one = jnp.zeros((2, 3)), jnp.ones((2, 3))
  np.testing.assert_allclose(losses.distance(zero, one), [2, 2])
  for a, b in ((zero, one), (one, zero), (zero, zero)):
    for gradient in jax.grad(total, argnums=(0, 1))(a, b):
      assert jnp.isfinite(gradient).all()


def test_losses_compute_in_float32_whatever_comes_in():
  a, b = (jnp.asarray(x, jnp.bfloat16) for x in RNG.normal(size=(2, 4, 8)))
  for found in (
    losses.distance(a, b),
    losses.soft_loss(a, b, temperature=2.0),
    losses.hard_loss(a, jnp.arange(4)),
  ):
    assert found.dtype == jnp.float32
  np.testing.assert_allclose(losses.distance(a, b), distance64(a, b), rtol=1e-4)


def test_boundary_terms_add_both_directions():
  s, t, enc, dec = RNG.normal(size=(4, 3, 5)).astype(np.float32)
  np.testing.assert_allclose(
    losses.feature_loss(s, t, encoded=enc, decoded=dec),
    distance64(s, enc) + distance64(t, dec),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    losses.reconstruction_loss(s, t, student_trip=enc, teacher_trip=dec),
    distance64(s, enc) + distance64(t, dec),
    rtol=1e-5,
  )
