"""One training step of one device: pure, from arrays to arrays.

Everything random is derived from the root key and the number of the step, so
a resumed run draws what an unbroken one draws. Augmentation draws per example
of the global batch, and is the same on any number of devices; compositions
and dropout draw per device.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

AXIS = "devices"


class TrainState(NamedTuple):
  """Arrays only, exactly what a checkpoint holds."""

  step: jax.Array  # int32, steps done
  params: Any
  batch_stats: Any
  opt_state: Any
  average: Any  # of the params over steps, or None


def init_state(
  params, batch_stats, tx: optax.GradientTransformation, *, ema: bool = False
) -> TrainState:
  return TrainState(
    jnp.zeros((), jnp.int32),
    params,
    batch_stats,
    tx.init(params),
    jax.tree.map(jnp.copy, params) if ema else None,
  )


def make_step(
  loss: Callable,
  tx: optax.GradientTransformation,
  *,
  take: Callable,
  prepare: Callable,
  rows_per_device: int,
  ema_decay: float = 0.0,
) -> Callable:
  """Returns step(state, frozen, arrays, key) -> state, metrics, per device.

  Args:
    loss: as in `training.losses`.
    tx: the optimiser.
    take: (arrays, step, rows) -> inputs, labels; these rows of a batch.
    prepare: (inputs, labels, keys, key) -> inputs, targets; keys are one per
      example, key is one for all.
    rows_per_device: examples of the batch on each device.
    ema_decay: of the running average of the params, if the state has one.
  """

  def step(state: TrainState, frozen, arrays, key):
    device = jax.lax.axis_index(AXIS)
    example_key, batch_key, loss_key = jax.random.split(
      jax.random.fold_in(key, state.step), 3
    )
    rows = device * rows_per_device + jnp.arange(rows_per_device)
    inputs, labels = take(arrays, state.step, rows)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(example_key, rows)
    inputs, targets = prepare(inputs, labels, keys, batch_key)

    gradient = jax.value_and_grad(loss, has_aux=True)
    (_, found), grads = gradient(
      state.params,
      state.batch_stats,
      frozen,
      inputs,
      targets,
      jax.random.fold_in(loss_key, device),
    )
    found, grads = jax.lax.pmean((found, grads), AXIS)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if average is not None:
      average = optax.incremental_update(params, average, 1 - ema_decay)
    metrics = found.metrics | {"grad_norm": optax.tree.norm(grads)}
    state = TrainState(
      state.step + 1, params, found.batch_stats, opt_state, average
    )
    return state, metrics

  return step


def repeat(step: Callable, times: int) -> Callable:
  """Several steps in one dispatch; the metrics are those of the last."""
  if times == 1:
    return step

  def steps(state, frozen, arrays, key):
    def body(state, _):
      return step(state, frozen, arrays, key)

    state, metrics = jax.lax.scan(body, state, length=times)
    return state, jax.tree.map(lambda m: m[-1], metrics)

  return steps
