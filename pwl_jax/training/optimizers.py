"""Optimisers, as optax chains from plain arguments."""

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pwl_jax.compress.prune import is_kernel
from pwl_jax.method.checks import check_choice

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "linear", "constant")
DECAYS = ("all", "kernels")


def make_schedule(
  name: str,
  *,
  peak: float,
  num_steps: int,
  final: float = 0.0,
  warmup_steps: int = 0,
) -> optax.Schedule:
  """The learning rate: up from zero, then down from `peak` to `final`."""
  check_choice("schedule", name, SCHEDULES)
  if not 0 <= warmup_steps < num_steps:
    raise ValueError(
      f"{warmup_steps} warm-up steps do not fit a run of {num_steps} steps; "
      "make the warm-up shorter or the run longer"
    )
  left = num_steps - warmup_steps
  main = {
    "cosine": optax.cosine_decay_schedule(peak, left, final / peak),
    "linear": optax.linear_schedule(peak, final, left),
    "constant": optax.constant_schedule(peak),
  }[name]
  if not warmup_steps:
    return main
  warmup = optax.linear_schedule(0.0, peak, warmup_steps)
  return optax.join_schedules([warmup, main], [warmup_steps])


def make_optimizer(
  name: str,
  schedule: optax.Schedule,
  *,
  momentum: float = 0.9,
  weight_decay: float = 0.0,
  decay: str = "all",
  clip_norm: float = 0.0,
  accumulate: int = 1,
  converter_rate: float = 1.0,
  trainable: Callable[[Any], Any] | None = None,
  keeps_zeros: Collection[str] = (),
) -> optax.GradientTransformation:
  """A chain over params keyed network or unit first.

  Args:
    name: "sgd" (decay is added to the gradient) or "adamw" (decoupled).
    schedule: of the learning rate, in applied steps.
    momentum: of SGD.
    weight_decay: its strength.
    decay: "all" parameters, as in the paper, or "kernels" only, which spares
      biases, norms and tokens.
    clip_norm: greatest norm of the whole gradient; 0 for none.
    accumulate: gradients of so many batches make one applied step.
    converter_rate: factor of the learning rate for `params["converters"]`.
    trainable: params -> a tree of booleans; what is false stays as it is.
    keeps_zeros: the networks whose kernels stay zero where they are at first.
  """
  check_choice("optimizer", name, OPTIMIZERS)
  check_choice("decay", decay, DECAYS)
  mask = _is_kernel if decay == "kernels" else None
  chain = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
  if name == "sgd":
    if weight_decay:
      chain.append(optax.add_decayed_weights(weight_decay, mask))
    chain.append(optax.sgd(schedule, momentum=momentum or None))
  else:
    chain.append(optax.adamw(schedule, weight_decay=weight_decay, mask=mask))
  if converter_rate != 1.0:
    chain.append(_scale_converters(converter_rate))
  tx = optax.chain(*chain)
  if trainable is not None:
    tx = optax.partition({True: tx, False: optax.set_to_zero()}, trainable)
  if accumulate > 1:
    tx = optax.MultiSteps(tx, accumulate).gradient_transformation()
  return optax.chain(tx, keep_zeros(keeps_zeros)) if keeps_zeros else tx


def keep_zeros(networks: Collection[str]) -> optax.GradientTransformation:
  """Last in the chain: weights that were pruned take no step.

  Which they are, is told from the first params and kept in the state, so that
  others may become zero and leave it again.
  """

  def zeros(path, leaf):
    none = jnp.zeros((), bool)  # Of what is no kernel.
    return leaf == 0 if is_kernel(path, leaf) else none

  def init(params):
    return {
      name: jax.tree_util.tree_map_with_path(zeros, params[name])
      for name in networks
    }

  def update(updates, state, params=None):
    del params
    stay = {
      name: jax.tree.map(
        lambda zero, step: jnp.where(zero, 0, step), state[name], updates[name]
      )
      for name in state
    }
    return {**updates, **stay}, state

  return optax.GradientTransformation(init, update)


def _is_kernel(params: Any) -> Any:
  """True for what multiplies: kernels and other matrices named so."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key in ("kernel", "weight"), params
  )


def _scale_converters(rate: float) -> optax.GradientTransformation:
  """Last in the chain: it scales steps, where gradients would not matter."""

  def update(updates, params=None):
    del params
    if "converters" not in updates:
      return updates
    scaled = jax.tree.map(lambda u: rate * u, updates["converters"])
    return {**updates, "converters": scaled}

  return optax.stateless(update)
