"""What a trained swap network is stored as, piece by piece."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pwl_jax.bundle.names import flat
from pwl_jax.bundle.parts import CALIBRATION, CONVERTERS
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.method import composition as compositions
from pwl_jax.method.network import unit_name
from pwl_jax.method.norms import STATS
from pwl_jax.method.swapnet import SwapNet, boundary_name

Pieces = dict[str, dict[str, np.ndarray]]  # Piece -> leaf -> array.


def served_variables(
  swapnet: SwapNet, variables: Mapping[str, Any], improvements: Improvements
) -> dict[str, Any]:
  """Of teacher, student and converters, in this process's memory.

  Raises unless they are those of the swap network.
  """
  groups = (*compositions.ROLES.values(), CONVERTERS)
  found = {group: variables.get(group, {}) for group in groups}
  found[CONVERTERS] = improvements.converters or found[CONVERTERS]
  expected = flat(swapnet.abstract_variables())
  given = flat(found)
  missing = [name for name in expected if name not in given]
  if missing:
    more = f" (and {len(missing) - 1} more)" if missing[1:] else ""
    raise ValueError(
      f"the variables have no {missing[0]}{more}; give those of teacher, "
      "student and converters"
    )
  for name, leaf in expected.items():
    if given[name].shape != leaf.shape:
      raise ValueError(
        f"{name} of the variables has shape {list(given[name].shape)}, and the "
        f"networks take {list(leaf.shape)}"
      )
  return jax.tree.map(_on_host, found)


def network_pieces(swapnet: SwapNet, variables: Mapping[str, Any]) -> Pieces:
  """Student, teacher, converters: in the order in which they are needed."""
  names = [
    (compositions.ROLES[letter], unit_name(i))
    for letter in (compositions.STUDENT, compositions.TEACHER)
    for i in range(swapnet.num_units)
  ]
  names += [
    (CONVERTERS, boundary_name(i))
    for i in range(swapnet.num_units - 1)
    if swapnet.has_converter(i)
  ]
  return {
    f"{group}/{name}": _leaves(variables[group][name]) for group, name in names
  }


def calibration_pieces(improvements: Improvements) -> Pieces:
  """The statistics that calibrated compositions run on, by their nodes."""
  return {
    f"{CALIBRATION}/{node}": _leaves({STATS: jax.tree.map(_on_host, stats)})
    for node, stats in improvements.statistics.items()
    if any(word.startswith(node) for word in improvements.calibrated)
  }


def _leaves(tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
  found = flat(tree)
  return {name: found[name] for name in sorted(found)}


def _on_host(leaf: Any) -> np.ndarray:
  """This process's copy of an array, row by row."""
  local = leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf
  return np.asarray(local, order="C")
