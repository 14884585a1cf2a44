"""Pruning by magnitude: fewer channels, or the same with zeros for weights.

  network, variables = prune_channels(network, variables, 0.5)
  variables = prune_weights(variables, 0.8)

Channels are taken out inside of units alone (`models/inner.py`), so that a
pruned network fits whatever the whole one did: it is an ordinary network of
narrower layers, whose widths follow from the share, `kept`. What remains is
the network in which the kernels that take these channels are zero there.

Weights are set to zero in kernels, each by itself. Biases, norms, positions
and the vectors of tokens stay: they are few, or each stands for something.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pwl_jax.compress.leaves import has_scales
from pwl_jax.method.checks import check_range
from pwl_jax.method.network import Network, Variables, unit_name
from pwl_jax.models import inner
from pwl_jax.models.inner import Inner

Leaves = dict[tuple[str, ...], Any]  # Of a unit, by collection and path.


def kept(width: int, share: float) -> int:
  """How many of so many channels stay; one at least."""
  return max(1, width - _count(width, share))


def narrowed(network: Network, share: float) -> Network:
  """The network without this share of the channels inside of its units."""
  check_share(share)
  if not share:
    return network
  keep = functools.partial(kept, share=share)
  units = tuple(inner.narrowed(unit, keep) for unit in network.units)
  if units == network.units:
    widths = sorted(_inner_widths(network))
    raise ValueError(
      f"a share of {share} takes no channel out of this network: "
      + (
        f"inside of its units there are {', '.join(map(str, widths))}; give "
        f"at least {1 / max(widths):.3g}"
        if widths and max(widths) > 1
        else "inside of its units it has none to spare; prune its weights, or "
        "another network"
      )
    )
  return dataclasses.replace(network, units=units)


def prune_channels(
  network: Network, variables: Variables, share: float
) -> tuple[Network, dict[str, Any]]:
  """The narrower network with the largest channels, in the order they had.

  How large a channel is, is the length of the weights that make it and of
  those that take it, in the whole network; of equal ones the first stay.
  """
  other = narrowed(network, share)
  found = {}
  for unit, name in zip(network.units, _names(network), strict=True):
    whole = flat = traverse_util.flatten_dict(dict(variables[name]))
    for channels in inner.inner_channels(unit) if share else ():
      flat = _only(flat, channels, _largest(_sizes(whole, channels), share))
    found[name] = traverse_util.unflatten_dict(flat)
  return other, found


def prune_weights(variables: Variables, share: float) -> dict[str, Any]:
  """The same with zeros for this share of the weights of every kernel.

  They are the smallest; of equal ones the first. Other leaves are the same
  arrays.
  """
  check_share(share)

  def prune(path, leaf):
    if not share or not is_kernel(path, leaf):
      return leaf
    weights = np.array(leaf)
    smallest = np.argsort(abs(weights), axis=None, kind="stable")
    weights.flat[smallest[: _count(weights.size, share)]] = 0
    return jnp.asarray(weights)

  return jax.tree_util.tree_map_with_path(prune, dict(variables))


def is_kernel(path: tuple[Any, ...], leaf: Any) -> bool:
  """Whether a leaf of variables is one whose weights are pruned."""
  return path[-1].key == "kernel" and has_scales(leaf.shape)


def check_share(share: float, name: str = "share"):
  check_range(name, share, 0, below=1)


def _count(whole: int, share: float) -> int:
  """A share in whole numbers: 0.29 of 100 is 29, whatever 0.29 * 100 is."""
  return math.floor(share * whole + 1e-9)


def _largest(sizes: np.ndarray, share: float) -> np.ndarray:
  """Which of them stay, in the order they have."""
  largest = np.argsort(-sizes, kind="stable")[: kept(len(sizes), share)]
  return np.sort(largest)


def _only(flat: Leaves, channels: Inner, stay: np.ndarray) -> Leaves:
  """The leaves with these of the channels alone."""
  made_by, used_by, norm = _paths(channels)

  def take(path, leaf):
    if path[1:-1] in (made_by, norm):
      return _take(leaf, stay, axis=-1)
    taken = path == ("params", *used_by, "kernel")
    return _take(leaf, stay, axis=-2) if taken else leaf

  return {path: take(path, leaf) for path, leaf in flat.items()}


def _sizes(flat: Leaves, channels: Inner) -> np.ndarray:
  """The sum of squares of the weights of each channel, [channels]."""
  made_by, used_by, _ = _paths(channels)
  squares = [
    np.asarray(flat["params", *path, "kernel"], np.float64) ** 2
    for path in (made_by, used_by)
  ]
  making, taking = (
    np.moveaxis(leaf, axis, 0)
    for leaf, axis in zip(squares, (-1, -2), strict=True)
  )
  return sum(
    leaf.reshape(len(leaf), -1).sum(axis=1) for leaf in (making, taking)
  )


def _paths(channels: Inner) -> tuple[tuple[str, ...] | None, ...]:
  """Of the layers that make and take the channels, and of the norm."""
  paths = (channels.made_by, channels.used_by, channels.norm)
  return tuple(path and tuple(path.split("/")) for path in paths)


def _take(leaf: Any, stay: np.ndarray, *, axis: int) -> jax.Array:
  return jnp.asarray(np.take(np.asarray(leaf), stay, axis=axis))


def _names(network: Network) -> list[str]:
  return [unit_name(i) for i in range(network.num_units)]


def _inner_widths(network: Network) -> set[int]:
  """How many channels there are in the groups of a network."""
  variables = network.abstract_variables()
  return {
    traverse_util.flatten_dict(dict(variables[name]))[
      "params", *_paths(channels)[0], "kernel"
    ].shape[-1]
    for unit, name in zip(network.units, _names(network), strict=True)
    for channels in inner.inner_channels(unit)
  }
