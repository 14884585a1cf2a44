"""Batch norms inside of units, whatever modules those are made of."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import linen as nn

from pwl_jax.method.network import Network, unit_name

PARAMS, STATS = "params", "batch_stats"
Epsilons = dict[str, float]  # Path of a batch norm in its unit -> its epsilon.


@contextlib.contextmanager
def at_batch_norms(
  act: Callable[[nn.BatchNorm, jax.Array], Any],
) -> Iterator[None]:
  """Within, `act(norm, x)` comes before every use of a batch norm on x."""

  def intercept(call, args, kwargs, context):
    norm = context.module
    if isinstance(norm, nn.BatchNorm) and context.method_name == "__call__":
      act(norm, args[0])
    return call(*args, **kwargs)

  with nn.intercept_methods(intercept):
    yield


def put_statistics(norm: nn.BatchNorm, mean: jax.Array, variance: jax.Array):
  """In place of what it knows, inside of a unit that is being run."""
  norm.put_variable(STATS, "mean", mean)
  norm.put_variable(STATS, "var", variance)


def axes_of(norm: nn.BatchNorm, x: jax.Array) -> tuple[int, tuple[int, ...]]:
  """The axis of the channels, and all others."""
  channel = norm.axis % x.ndim
  return channel, tuple(axis for axis in range(x.ndim) if axis != channel)


def epsilons(network: Network) -> dict[str, Epsilons]:
  """Of all batch norms that scale and shift, by unit and by path in it."""
  variables, features = (
    network.abstract_variables(),
    network.abstract_features(),
  )
  return {
    unit_name(i): _epsilons(unit, variables[unit_name(i)], features[i])
    for i, unit in enumerate(network.units)
  }


def _epsilons(unit: nn.Module, variables: Any, feature: Any) -> Epsilons:
  found: Epsilons = {}

  def run(params, others, feature):
    # Modules that share a scope have other paths than their variables.
    scales = {
      id(leaf): path for path, leaf in jax.tree.leaves_with_path(params)
    }

    def note(norm, x):
      del x
      if norm.use_scale and norm.use_bias:
        *path, _ = scales[id(norm.get_variable(PARAMS, "scale"))]
        found["/".join(entry.key for entry in path)] = norm.epsilon

    with at_batch_norms(note):
      return unit.apply({PARAMS: params, **others}, feature, train=False)

  others = {name: tree for name, tree in variables.items() if name != PARAMS}
  jax.eval_shape(run, variables.get(PARAMS, {}), others, feature)
  return found
