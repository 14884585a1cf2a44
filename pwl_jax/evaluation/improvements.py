"""What the evaluation found to make compositions better, on disk.

Batch statistics of the nodes of calibrated compositions, and the converters
where some were fitted again. Small, verified like everything else, and beside
what was trained, which stays as it is.
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pwl_jax.evaluation.calibration import calibrated_variables
from pwl_jax.evaluation.tree import Statistics
from pwl_jax.method.network import Variables
from pwl_jax.method.norms import STATS
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.artefacts import (
  finish,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.parallel import Devices, sharding


class Improvements(NamedTuple):
  """Of a swap network; none of the parts need be there."""

  statistics: Statistics  # By nodes.
  calibrated: tuple[str, ...]  # Compositions that run on them.
  converters: Mapping[str, Any]  # By boundary; {} leaves those trained.

  def applied(self, variables: Variables, word: str) -> dict[str, Any]:
    """The variables that one composition is served with."""
    variables = dict(variables)
    if self.converters:
      variables["converters"] = self.converters
    statistics = self.statistics if word in self.calibrated else {}
    return calibrated_variables(variables, word, statistics)


NOTHING = Improvements({}, (), {})


def save(
  directory: pathlib.Path, improvements: Improvements, notes: Mapping[str, Any]
):
  """Writes them whole, and last that they are complete."""
  trees = {
    "statistics": dict(improvements.statistics),
    "converters": dict(improvements.converters),
  }
  finish(
    directory,
    trees,
    {
      **notes,
      "calibrated": list(improvements.calibrated),
      "nodes": list(improvements.statistics),
      "converters": bool(improvements.converters),
    },
  )


def load(
  directory: pathlib.Path, swapnet: SwapNet, devices: Devices
) -> Improvements:
  """What `save` wrote for this swap network, verified."""
  result, shapes = load_result(directory), swapnet.abstract_variables()
  statistics = {
    node: swapnet.unit(shapes, len(node) - 1, node[-1])[1][STATS]
    for node in result["nodes"]
  }
  converters = shapes["converters"] if result["converters"] else {}
  abstract = {"statistics": statistics, "converters": converters}
  found = load_variables(directory, placed(abstract, sharding(devices)))
  return Improvements(
    found["statistics"], tuple(result["calibrated"]), found["converters"]
  )
