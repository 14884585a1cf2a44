"""Batch norms of a pruned network, which know it as it was before.

What is taken out of a layer moves the mean and the variance of all behind it.
Measured anew they bring most of the accuracy back, without labels and without
a step of training.
"""

from typing import Any

import jax
import jax.numpy as jnp

from pwl_jax.method.network import Network, Variables, unit_name
from pwl_jax.method.norms import (
  STATS,
  at_batch_norms,
  axes_of,
  put_statistics,
)


def with_statistics_of(
  network: Network, variables: Variables, x: jax.Array
) -> dict[str, Any]:
  """The running averages of its batch norms as they are on these inputs.

  Layer by layer, so that each sees what those before it give in the end; all
  else runs in evaluation mode, and stays.
  """

  @jax.jit
  def measure(variables, feature):
    found = {}
    for i, unit in enumerate(network.units):
      own = variables[unit_name(i)]
      with at_batch_norms(_know):
        feature, changed = unit.apply(
          own, feature, train=False, mutable=[STATS]
        )
      if STATS in own:
        found[unit_name(i)] = changed[STATS]
    return found

  stats = measure(jax.device_get(variables), x) if _has_norms(variables) else {}
  return {
    name: {**own, STATS: stats[name]} if name in stats else own
    for name, own in variables.items()
  }


def _has_norms(variables: Variables) -> bool:
  return any(STATS in own for own in variables.values())


def _know(norm, x):
  """What a batch norm is given is what it knows."""
  _, axes = axes_of(norm, x)
  x = x.astype(jnp.float32)
  put_statistics(norm, x.mean(axes), x.var(axes))
