"""In which precision every unit of a bundle is stored, and so served."""

import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pwl_jax.bundle.names import flat, nested
from pwl_jax.compress.fit import fit_scales
from pwl_jax.compress.leaves import WHOLE, decode, encode
from pwl_jax.compress.rounding import PRECISIONS
from pwl_jax.exporting.pieces import Pieces
from pwl_jax.method.checks import check_choice
from pwl_jax.method.composition import ROLES
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet

EXACT = "float32"
Scales = Mapping[str, Mapping[str, Any]]  # Piece -> leaf -> its scales.
NO_SCALES: Scales = types.MappingProxyType({})


class Precisions(NamedTuple):
  """Of the units of both networks; all else is stored as it is."""

  student: tuple[str, ...]
  teacher: tuple[str, ...]
  scales: Scales = NO_SCALES  # What is left out is rounded without.

  def of(self, piece: str) -> str:
    role, _, unit = piece.partition("/unit")
    return getattr(self, role)[int(unit)] if role in ROLES.values() else EXACT

  @property
  def is_exact(self) -> bool:
    return {*self.student, *self.teacher} == {EXACT}


def as_trained(num_units: int) -> Precisions:
  return Precisions((EXACT,) * num_units, (EXACT,) * num_units)


def parse(given: str, num_units: int, *, network: str) -> tuple[str, ...]:
  """ "int8", for all units of a network, or one for each: "int8,float32"."""
  found = tuple(part.strip() for part in given.split(","))
  for precision in found:
    check_choice(f"precision of the {network}", precision, PRECISIONS)
  if len(found) not in (1, num_units):
    raise ValueError(
      f"the {network} has {num_units} units, and {given!r} names the precision "
      f"of {len(found)}; give one for all of them, or {num_units} with commas "
      "between"
    )
  return found * (num_units // len(found))


def stored(pieces: Pieces, precisions: Precisions) -> Pieces:
  """Of float32 leaves what lies in a bundle."""
  return {
    piece: encode(
      leaves, precisions.of(piece), scales=precisions.scales.get(piece)
    )
    for piece, leaves in pieces.items()
  }


def as_served(variables: Mapping[str, Any], pieces: Pieces) -> dict[str, Any]:
  """Both networks as they come out of the pieces they are stored as."""
  found = dict(variables)
  for role in ROLES.values():
    found[role] = {
      unit: _restored(tree, pieces[f"{role}/{unit}"])
      for unit, tree in variables[role].items()
    }
  return found


def _restored(tree: Any, piece: Mapping[str, np.ndarray]) -> Any:
  shapes = {name: np.shape(leaf) for name, leaf in flat(tree).items()}
  return nested(decode(piece, shapes))


def with_scales(
  swapnet: SwapNet,
  variables: Mapping[str, Any],
  precisions: Precisions,
  inputs: np.ndarray,
  *,
  trained: Precisions | None = None,
) -> Precisions:
  """Scales fitted to what the layers of both networks make of some inputs.

  Units that were `trained` in the very precision keep the scales that they
  were trained with, those of plain rounding.
  """
  scales: dict[str, Any] = {}
  for role in ROLES.values():
    units = units_to_fit(precisions, role, trained)
    for precision in sorted({*units.values()}):
      network = getattr(swapnet, role)
      found = fit_scales(network, variables[role], inputs, precision)
      scales |= {
        f"{role}/{name}": found[name]
        for name, own in units.items()
        if own == precision
      }
  return precisions._replace(scales=scales)


def units_to_fit(
  precisions: Precisions, role: str, trained: Precisions | None = None
) -> dict[str, str]:
  """Those of a network that `with_scales` fits, with their precisions."""
  own = getattr(precisions, role)
  before = getattr(trained or as_trained(len(own)), role)
  return {
    unit_name(i): own[i]
    for i in range(len(own))
    if own[i] in WHOLE and own[i] != before[i]
  }


def of_texts(student: str, teacher: str, num_units: int) -> Precisions:
  """Of both as a config gives them."""
  return Precisions(
    parse(student, num_units, network="student"),
    parse(teacher, num_units, network="teacher"),
  )
