"""Optimisers: schedules, masks, and what each option does to a step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pwl_jax.training.optimizers import make_optimizer, make_schedule

PARAMS = {
  "student": {"unit0": {"dense": {"kernel": jnp.ones(3), "bias": jnp.ones(2)}}},
  "converters": {"boundary0": {"encoder": {"kernel": jnp.ones(2)}}},
}
GRADS = jax.tree.map(lambda p: 2 * p, PARAMS)


def steps(tx, count=1, grads=GRADS):
  params, state = PARAMS, tx.init(PARAMS)
  for _ in range(count):
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return params


def student(params):
  return params["student"]["unit0"]["dense"]


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_schedules_go_up_and_then_down_to_the_final_rate(name):
  rate = make_schedule(
    name, peak=0.1, final=0.001, num_steps=100, warmup_steps=20
  )
  found = np.array([rate(i) for i in range(101)])
  np.testing.assert_allclose(found[[0, 20, 100]], [0, 0.1, 0.001], rtol=1e-5)
  assert (np.diff(found[:21]) > 0).all() and (np.diff(found[20:]) < 0).all()


def test_the_papers_schedule():
  rate = make_schedule("cosine", peak=0.05, final=1e-5, num_steps=160)
  half = 1e-5 + (0.05 - 1e-5) / 2
  np.testing.assert_allclose(
    [rate(0), rate(80), rate(160)], [0.05, half, 1e-5], rtol=1e-4
  )


def test_sgd_decays_what_the_mask_says_and_slows_the_converters():
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  everything = steps(
    make_optimizer("sgd", rate, weight_decay=0.5, converter_rate=0.2)
  )
  np.testing.assert_allclose(student(everything)["kernel"], 1 - 0.1 * 2.5)
  np.testing.assert_allclose(student(everything)["bias"], 1 - 0.1 * 2.5)
  converter = everything["converters"]["boundary0"]["encoder"]["kernel"]
  np.testing.assert_allclose(converter, 1 - 0.2 * 0.1 * 2.5, rtol=1e-6)
  kernels = steps(
    make_optimizer("sgd", rate, weight_decay=0.5, decay="kernels")
  )
  np.testing.assert_allclose(student(kernels)["kernel"], 1 - 0.1 * 2.5)
  np.testing.assert_allclose(student(kernels)["bias"], 1 - 0.1 * 2.0)


def test_momentum_adds_up():
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  found = steps(make_optimizer("sgd", rate, momentum=0.9), count=2)
  np.testing.assert_allclose(
    student(found)["kernel"], 1 - 0.1 * (2 + 3.8), rtol=1e-6
  )


def test_clipping_bounds_the_whole_gradient():
  rate = make_schedule("constant", peak=1.0, num_steps=10)
  found = steps(make_optimizer("sgd", rate, clip_norm=0.1))
  moved = optax.tree.norm(jax.tree.map(jnp.subtract, found, PARAMS))
  np.testing.assert_allclose(moved, 0.1, rtol=1e-5)


def test_accumulated_batches_make_one_step_of_their_mean():
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  tx = make_optimizer("sgd", rate, accumulate=2)
  state = tx.init(PARAMS)
  halves = [GRADS, jax.tree.map(lambda g: 3 * g, GRADS)]
  first, state = tx.update(halves[0], state, PARAMS)
  assert all((leaf == 0).all() for leaf in jax.tree.leaves(first))
  second, _ = tx.update(halves[1], state, PARAMS)
  np.testing.assert_allclose(student(second)["kernel"], -0.1 * 4, rtol=1e-6)


def test_adamw_moves_by_its_rate_and_decays_apart():
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  found = steps(
    make_optimizer("adamw", rate, weight_decay=0.5, decay="kernels")
  )
  np.testing.assert_allclose(student(found)["kernel"], 0.85, rtol=1e-4)
  np.testing.assert_allclose(student(found)["bias"], 0.9, rtol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_weights_that_are_zero_at_first_stay_so(name, accumulate):
  kernel = jnp.array([[0.0, 1.0], [2.0, -0.0]])
  leaves = {"kernel": kernel, "bias": jnp.zeros(2)}
  params = {
    "student": {"unit0": {"dense": leaves}},
    "converters": {"boundary0": {"encoder": leaves}},
  }
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  tx, free = (
    make_optimizer(
      name, rate, weight_decay=0.5, accumulate=accumulate, keeps_zeros=networks
    )
    for networks in (["student"], [])
  )

  def train(tx):
    found, state = params, tx.init(params)
    for i in range(4):
      grads = jax.tree.map(lambda leaf, i=i: leaf + 1 + i, params)
      updates, state = tx.update(grads, state, found)
      found = optax.apply_updates(found, updates)
    return found

  found, other = train(tx), train(free)
  expected = jnp.where(kernel == 0, 0, student(other)["kernel"])
  assert (student(other)["kernel"] != 0).all()
  np.testing.assert_array_equal(student(found)["kernel"], expected)
  np.testing.assert_array_equal(student(found)["bias"], student(other)["bias"])
  assert (found["converters"]["boundary0"]["encoder"]["kernel"] != 0).all()


def test_choices_that_are_none_are_refused():
  rate = make_schedule("constant", peak=0.1, num_steps=10)
  cases = [
    (lambda: make_optimizer("sdg", rate), "did you mean 'sgd'"),
    (lambda: make_optimizer("sgd", rate, decay="kernel"), "'kernels'"),
    (lambda: make_schedule("cosin", peak=1, num_steps=9), "'cosine'"),
    (
      lambda: make_schedule("linear", peak=1, num_steps=9, warmup_steps=9),
      "9 warm-up steps do not fit a run of 9",
    ),
  ]
  for make, message in cases:
    with pytest.raises(ValueError, match=message):
      make()
