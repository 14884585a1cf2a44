"""What a bundle holds of a swap network, and what is served of that.

  found = Stored.of(swapnet, variables, precisions)
  found.pieces             # leaves by piece, as they lie in a bundle
  found.as_served()        # the variables that the network then answers with
  found.calibration(better)  # pieces with statistics of compositions

Units in int8 and int4 are stored with their batch norms folded: of a small
student's bytes the statistics are a sixth. Those in two parts are not: what
runs first shares its statistics with the exact unit.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pwl_jax.bundle.names import flat, nested
from pwl_jax.bundle.parts import CALIBRATION, REST
from pwl_jax.compress import fold
from pwl_jax.compress.leaves import WHOLE, decode, encode
from pwl_jax.compress.refine import rest_of_unit
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.exporting.affine import with_affine_converters
from pwl_jax.exporting.pieces import (
  Pieces,
  calibration_pieces,
  network_pieces,
)
from pwl_jax.exporting.precision import Precisions
from pwl_jax.method.composition import COARSE, GROUPS, ROLES, TEACHER, side
from pwl_jax.method.network import unit_name
from pwl_jax.method.norms import Epsilons, epsilons
from pwl_jax.method.swapnet import SwapNet

Leaves = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Stored:
  """A swap network in the precisions of its units."""

  variables: Mapping[str, Any]  # As they were trained, in this memory.
  swapnet: SwapNet  # Its converters are the affine maps that are stored.
  exact: frozenset[int]  # The boundaries whose maps must round nothing.
  pieces: Pieces  # Of units and converters.
  norms: Mapping[str, Epsilons]  # Piece -> the batch norms that are folded.

  @classmethod
  def of(
    cls,
    swapnet: SwapNet,
    variables: Mapping[str, Any],
    precisions: Precisions,
  ) -> "Stored":
    """Of float32 variables of teacher, student and converters."""
    affine, converters, exact = with_affine_converters(
      swapnet, variables["converters"]
    )
    whole = network_pieces(affine, {**variables, "converters": converters})
    norms = _folded_norms(swapnet, precisions)
    pieces = _pieces(whole, precisions, norms)
    return cls(variables, affine, exact, pieces, norms)

  def as_served(self) -> dict[str, Any]:
    """The variables as they come out of the pieces.

    Norms have the statistics they were trained with, so that others can be
    measured. Units of the teacher in two parts are in `coarse`, too.
    """
    found = dict(self.variables)
    for letter, group in GROUPS.items():
      trees = self.variables[ROLES[side(letter)]]
      found[group] = {
        unit: self._restored(f"{group}/{unit}", tree)
        for unit, tree in trees.items()
        if f"{group}/{unit}" in self.pieces
      }
    return found

  def calibration(self, improvements: Improvements) -> Pieces:
    """The statistics that calibrated compositions run on, by their nodes."""
    return {
      name: self._folded_statistics(name, measured)
      for name, measured in calibration_pieces(improvements).items()
    }

  def _restored(self, piece: str, tree: Any) -> Any:
    trained = flat(tree)
    shapes = {name: np.shape(leaf) for name, leaf in trained.items()}
    found = decode(self.pieces[piece], shapes)
    return nested(fold.unfolded(found, trained, self.norms.get(piece, {})))

  def _folded_statistics(self, name: str, measured: Leaves) -> Leaves:
    node = name.removeprefix(f"{CALIBRATION}/")
    role, unit = ROLES[node[-1]], unit_name(len(node) - 1)
    norms = self.norms.get(f"{role}/{unit}", {})
    trained = flat(self.variables[role][unit])
    return fold.statistics_folded(measured, trained, norms)


def _folded_norms(
  swapnet: SwapNet, precisions: Precisions
) -> dict[str, Epsilons]:
  wanted = [
    piece
    for piece in precisions.pieces
    if precisions.of(piece) in WHOLE
    and not piece.startswith(f"{GROUPS[COARSE]}/")
  ]
  if not wanted:
    return {}
  found = {
    f"{role}/{unit}": norms
    for role in ROLES.values()
    for unit, norms in epsilons(getattr(swapnet, role)).items()
  }
  return {piece: found[piece] for piece in wanted}


def _pieces(
  whole: Pieces, precisions: Precisions, norms: Mapping[str, Epsilons]
) -> Pieces:
  """A unit in two parts is there as these, and as what is made of them."""

  def rounded(piece: str, leaves: Leaves) -> dict[str, np.ndarray]:
    return encode(
      fold.folded(leaves, norms.get(piece, {})),
      precisions.of(piece),
      scales=precisions.scales.get(piece),
    )

  found: Pieces = {}
  in_two = {f"{ROLES[TEACHER]}/{unit_name(i)}" for i in precisions.coarse}
  for piece, leaves in whole.items():
    if piece in in_two:
      unit = piece.rpartition("/")[2]
      coarse = f"{GROUPS[COARSE]}/{unit}"
      found[coarse] = rounded(coarse, leaves)
      found[f"{REST}/{unit}"] = rest_of_unit(leaves, found[coarse])
    found[piece] = rounded(piece, leaves)
  return found
