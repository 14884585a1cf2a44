"""Variables of `pwl_jax` in the layouts and under the names of the peer."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from flax import traverse_util
from torch import nn

from benchmarks.peers.swapnet import SwapNet

# The last part of a leaf's path; what is not here is called the same.
NAMES = {
  "kernel": "weight",
  "scale": "weight",
  "mean": "running_mean",
  "var": "running_var",
}


def load(net: SwapNet, variables: Mapping[str, Any]):
  """Copies variables, keyed network -> unit -> collection, into the peer."""
  given = renamed(without_collections(variables))
  place = {n: t for n, t in named(net) if not n.endswith("tracked")}
  if given.keys() != place.keys():
    raise ValueError(
      "the peer's networks are not those of the variables; only one side has "
      f"{', '.join(sorted(given.keys() ^ place.keys())[:8])}"
    )
  with torch.no_grad():
    for name, tensor in place.items():
      tensor.copy_(torch.tensor(given[name]))


def named(net: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
  """Parameters and buffers; a chain inside of a unit is no part of a name."""
  for name, tensor in (*net.named_parameters(), *net.named_buffers()):
    yield name.replace("body.", ""), tensor


def renamed(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """A tree keyed network -> unit -> ... by the peer's names, in its layouts."""
  flat = traverse_util.flatten_dict(params)
  return {_name(path): _laid_out(path, leaf) for path, leaf in flat.items()}


def _name(path: tuple[str, ...]) -> str:
  network, place, *modules, leaf = path
  if network == "converters":
    half, *modules = modules
    network, place = f"{half}s", place.removeprefix("boundary")
  place = place.removeprefix("unit")
  return ".".join((network, place, *modules, NAMES.get(leaf, leaf)))


def _laid_out(path: tuple[str, ...], leaf) -> np.ndarray:
  array = np.asarray(leaf)
  if path[-1] != "kernel":
    return array
  # [i, o] -> [o, i] and [h, w, i, o] -> [o, i, h, w].
  return array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)


def without_collections(variables: Mapping[str, Any]) -> dict[str, Any]:
  """network -> unit -> collection -> ... becomes network -> unit -> ..."""
  return {
    network: {
      name: _merged(unit.get("params", {}), unit.get("batch_stats", {}))
      for name, unit in units.items()
    }
    for network, units in variables.items()
  }


def _merged(params, batch_stats) -> dict:
  flat = [traverse_util.flatten_dict(tree) for tree in (params, batch_stats)]
  return traverse_util.unflatten_dict(flat[0] | flat[1])
