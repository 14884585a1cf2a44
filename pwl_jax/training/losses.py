"""What each stage minimises, in one form.

A loss is a pure function

  loss(params, batch_stats, frozen, inputs, targets, key) -> total, Outcome

where `params` are trained and `frozen` are not, and `targets` are a
distribution over classes, [b, k].
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.compress.fake import fake_quantised_units
from pwl_jax.method.losses import hard_loss
from pwl_jax.method.network import Network
from pwl_jax.method.objective import make_objective
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import merge

Loss = Callable[..., tuple[jax.Array, "Outcome"]]


class Outcome(NamedTuple):
  """What a loss found, beside its total."""

  metrics: dict[str, jax.Array]  # means over the batch, by name
  batch_stats: Any  # the running averages afterwards


def classification_loss(
  network: Network, role: str, *, train: bool = True
) -> Loss:
  """Cross entropy of one network, whose variables are keyed `role` first."""

  def loss(params, batch_stats, frozen, inputs, targets, key):
    del frozen
    variables = merge(params, batch_stats)[role]
    out = network.apply(variables, inputs, train=train, key=key)
    total = jnp.mean(hard_loss(out.logits, targets))
    metrics = {"loss": total, "accuracy": accuracy(out.logits, targets)}
    after = {role: out.batch_stats} if train else batch_stats
    return total, Outcome(metrics, after)

  return loss


def distillation_loss(
  swapnet: SwapNet, *, precisions: Sequence[str] = (), **options
) -> Loss:
  """The objective; `frozen` holds the teacher, `options` are its own.

  With `precisions`, one for each unit of the student, all its passes run on
  rounded params; gradients pass straight through to those of full precision.
  """
  objective = make_objective(swapnet, **options)

  def loss(params, batch_stats, frozen, inputs, targets, key):
    teacher = frozen["teacher"]
    if precisions:
      student = fake_quantised_units(
        params["student"], precisions, batch_stats["student"]
      )
      params = {**params, "student": student}
    total, found = objective(params, batch_stats, teacher, inputs, targets, key)
    metrics = {
      "loss": total,
      "accuracy": accuracy(found.student_logits, targets),
      **found.parts,
    }
    return total, Outcome(metrics, found.batch_stats)

  return loss


def accuracy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Share of examples answered with their likeliest class."""
  return jnp.mean(logits.argmax(-1) == targets.argmax(-1))
