"""The head of a network: another one for other classes, and where it is.

Which leaves it has is told from the shapes: those that change with the number
of classes, all of them in one dense layer of the last unit.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from pwl_jax.method.feature import Feature
from pwl_jax.method.network import Network, Variables, unit_name

Path = tuple[str, ...]


class Head(NamedTuple):
  """What a number of classes makes of a last unit."""

  unit: nn.Module  # The last unit, for that number.
  paths: tuple[Path, ...]  # Its leaves of another shape, collection first.
  feature: Feature  # What it is given, abstract.


def with_classes(
  network: Network, variables: Variables, num_classes: int, key: jax.Array
) -> tuple[Network, Variables, bool]:
  """The network with a head for so many classes, and whether it is a new one.

  A new head is drawn from the key; all other leaves are the same arrays. With
  as many classes as before nothing changes.
  """
  if num_classes < 1:
    raise ValueError(f"num_classes must be positive, got {num_classes}")
  if num_classes == network.num_classes:
    return network, variables, False
  head = _find_head(network, num_classes)

  @jax.jit  # So that nothing but the head is drawn.
  def draw(key):
    feature = jax.tree.map(
      lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), head.feature
    )
    drawn = head.unit.init(key, feature, train=False)
    drawn = traverse_util.flatten_dict(drawn)
    return {path: drawn[path] for path in head.paths}

  name = unit_name(network.num_units - 1)
  last = traverse_util.flatten_dict(variables[name]) | draw(key)
  variables = {**variables, name: traverse_util.unflatten_dict(last)}
  units = (*network.units[:-1], head.unit)
  return dataclasses.replace(network, units=units), variables, True


def head_mask(network: Network) -> dict[str, Any]:
  """unit -> its params, with `True` for the leaves of the head, else `False`.

  The structure of the network's params, so that it can tell an optimiser what
  to train.
  """
  head = _find_head(network, network.num_classes + 1)
  last = unit_name(network.num_units - 1)
  mask = {}
  for name, unit in network.abstract_variables().items():
    flat = traverse_util.flatten_dict(unit.get("params", {}))
    mask[name] = traverse_util.unflatten_dict(
      {path: name == last and ("params", *path) in head.paths for path in flat}
    )
  return mask


def _find_head(network: Network, num_classes: int) -> Head:
  """The last unit for another number of classes, and what that changes."""
  last = network.units[-1]
  if "num_classes" not in {field.name for field in dataclasses.fields(last)}:
    raise ValueError(
      f"the last unit, a {type(last).__name__}, has no field num_classes, so "
      "its head cannot be told from the rest; give it one, as "
      "docs/extending.md shows"
    )
  unit = last.clone(num_classes=num_classes)
  feature = network.abstract_features()[-2]
  before, after = (_leaves(u, feature) for u in (last, unit))
  paths = tuple(p for p in after if before.get(p) != after[p])
  layers = {path[:-1] for path in paths}
  is_dense = all(
    path[0] == "params" and after[path].shape[-1] == num_classes
    for path in paths
  )
  if before.keys() != after.keys() or len(layers) != 1 or not is_dense:
    found = ", ".join("/".join(path) for path in paths) or "nothing"
    raise ValueError(
      f"in the last unit, a {type(last).__name__}, the number of classes "
      f"changes {found}; a head is one dense layer, whose outputs are the "
      "classes"
    )
  return Head(unit, paths, feature)


def _leaves(unit: nn.Module, feature) -> dict[Path, jax.ShapeDtypeStruct]:
  def init(key, x):
    return unit.init(key, x, train=False)

  abstract = jax.eval_shape(init, jax.random.key(0), feature)
  return traverse_util.flatten_dict(abstract)
