"""In which precision every unit of a bundle is stored, and so served.

"int8+float32" stores a unit of the teacher in two parts: a coarse one, which
is served at first, and the rest, which makes every bit of it.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pwl_jax.compress.fit import fit_scales
from pwl_jax.compress.leaves import WHOLE
from pwl_jax.compress.rounding import PRECISIONS
from pwl_jax.method.checks import check_choice
from pwl_jax.method.composition import COARSE, GROUPS, ROLES, TEACHER
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet

EXACT = "float32"
TWICE = tuple(f"{coarse}+{EXACT}" for coarse in WHOLE)
CHOICES = {"student": PRECISIONS, "teacher": (*PRECISIONS, *TWICE)}
Scales = Mapping[str, Mapping[str, Any]]  # Piece -> leaf -> its scales.
NO_SCALES: Scales = types.MappingProxyType({})


class Precisions(NamedTuple):
  """Of the units of both networks; all else is stored as it is."""

  student: tuple[str, ...]
  teacher: tuple[str, ...]
  scales: Scales = NO_SCALES  # What is left out is rounded without.

  def of(self, piece: str) -> str:
    role, _, unit = piece.partition("/unit")
    if role == GROUPS[COARSE]:
      return self.teacher[int(unit)].partition("+")[0]
    if role not in ROLES.values():
      return EXACT
    return getattr(self, role)[int(unit)].rpartition("+")[2]

  @property
  def is_exact(self) -> bool:
    return {*self.student, *self.teacher} == {EXACT}

  @property
  def coarse(self) -> tuple[int, ...]:
    """The units of the teacher that are stored in two parts."""
    return tuple(i for i, p in enumerate(self.teacher) if p in TWICE)

  @property
  def pieces(self) -> list[str]:
    """Those of both networks."""
    return [
      *(f"{GROUPS[COARSE]}/{unit_name(i)}" for i in self.coarse),
      *(
        f"{role}/{unit_name(i)}"
        for role in ROLES.values()
        for i in range(len(getattr(self, role)))
      ),
    ]


def as_trained(num_units: int) -> Precisions:
  return Precisions((EXACT,) * num_units, (EXACT,) * num_units)


def parse(given: str, num_units: int, *, network: str) -> tuple[str, ...]:
  """ "int8", for all units of a network, or one for each: "int8,float32"."""
  found = tuple(part.strip() for part in given.split(","))
  for precision in found:
    check_choice(f"precision of the {network}", precision, CHOICES[network])
  if len(found) not in (1, num_units):
    raise ValueError(
      f"the {network} has {num_units} units, and {given!r} names the precision "
      f"of {len(found)}; give one for all of them, or {num_units} with commas "
      "between"
    )
  return found * (num_units // len(found))


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
  fitted = functools.cache(
    lambda role, precision: fit_scales(
      getattr(swapnet, role), variables[role], inputs, precision
    )
  )
  scales = {}
  for piece in pieces_to_fit(precisions, trained):
    group, _, unit = piece.partition("/")
    role = ROLES[TEACHER] if group == GROUPS[COARSE] else group
    scales[piece] = fitted(role, precisions.of(piece))[unit]
  return precisions._replace(scales=scales)


def pieces_to_fit(
  precisions: Precisions, trained: Precisions | None = None
) -> list[str]:
  """Those that `with_scales` fits."""
  return [
    piece
    for piece in precisions.pieces
    if precisions.of(piece) in WHOLE
    and not (trained and trained.of(piece) == precisions.of(piece))
  ]


def of_texts(student: str, teacher: str, num_units: int) -> Precisions:
  """Of both as a config gives them."""
  return Precisions(
    parse(student, num_units, network="student"),
    parse(teacher, num_units, network="teacher"),
  )
