"""Views of a variables tree, keyed network -> unit -> collection -> ...

Training differentiates parameters and carries batch statistics, so it needs
the two apart; everything else moves whole units, so it needs them together.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

COLLECTIONS = ("params", "batch_stats")


def split(variables: Mapping[str, Any]) -> tuple[dict, dict]:
  """network -> unit -> collection becomes two trees, network -> unit -> ...

  Units without a collection keep an empty place in its tree.
  """
  params, batch_stats = (
    {
      network: {name: unit.get(kind, {}) for name, unit in units.items()}
      for network, units in variables.items()
    }
    for kind in COLLECTIONS
  )
  return params, batch_stats


def merge(params: Mapping[str, Any], batch_stats: Mapping[str, Any]) -> dict:
  """The inverse of `split`; a collection that is empty is left out."""
  return {
    network: {
      name: _unit(unit, batch_stats.get(network, {}).get(name, {}))
      for name, unit in units.items()
    }
    for network, units in params.items()
  }


def _unit(params: Any, batch_stats: Any) -> dict:
  unit = dict(zip(COLLECTIONS, (params, batch_stats), strict=True))
  return {kind: tree for kind, tree in unit.items() if tree}


def with_stats(
  units: Mapping[str, Any], batch_stats: Mapping[str, Any]
) -> dict[str, Any]:
  """A network's variables, with these statistics in those units."""
  return {
    name: unit | {"batch_stats": batch_stats[name]}
    if batch_stats.get(name)
    else unit
    for name, unit in units.items()
  }


def average_stats(passes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Batch statistics per unit, averaged over the passes that ran it."""
  names = dict.fromkeys(name for stats in passes for name in stats)
  return {
    name: jax.tree.map(
      lambda *leaves: sum(leaves) / len(leaves),
      *[stats[name] for stats in passes if name in stats],
    )
    for name in names
  }


def count_parameters(variables: Any) -> int:
  """Parameters in any part of a variables tree; batch statistics are none."""
  return sum(
    math.prod(leaf.shape)
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    if "batch_stats" not in (getattr(entry, "key", None) for entry in path)
  )
