"""What a composition takes: bytes to hold, operations to answer one input."""

from typing import Any, NamedTuple

import jax

from pwl_jax.method import composition as compositions
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet, boundary_name


class Cost(NamedTuple):
  """Of a unit, a converter or a whole composition."""

  bytes: int
  flops: int | None  # For one input, as XLA counts them; None if it does not.

  def __add__(self, other: "Cost") -> "Cost":
    counted = None not in (self.flops, other.flops)
    flops = self.flops + other.flops if counted else None
    return Cost(self.bytes + other.bytes, flops)


class Costs(NamedTuple):
  """Of all pieces of a swap network."""

  units: dict[str, list[Cost]]  # letter -> by unit
  conversions: dict[str, list[Cost]]  # letter that is reached -> by boundary

  @property
  def teacher_bytes(self) -> list[int]:
    """By unit: what is loaded."""
    return [cost.bytes for cost in self.units[compositions.TEACHER]]

  def of(self, word: str) -> Cost:
    """Of one composition: its units, and a conversion at every switch."""
    compositions.validate(word, len(self.units[compositions.STUDENT]))
    total = Cost(0, 0)
    for i, letter in enumerate(word):
      total += self.units[letter][i]
      if i and letter != word[i - 1]:
        total += self.conversions[letter][i - 1]
    return total


def measure_costs(swapnet: SwapNet) -> Costs:
  """Counts every piece once; nothing is computed or compiled."""
  variables = swapnet.abstract_variables()
  features = {
    letter: network.abstract_features()
    for letter, network in (
      (compositions.TEACHER, swapnet.teacher),
      (compositions.STUDENT, swapnet.student),
    )
  }
  units = {
    letter: [
      Cost(
        size(variables[role][unit_name(i)]),
        _flops(
          lambda v, x, i=i, letter=letter: swapnet.run_unit(v, i, letter, x)[0],
          {role: variables[role]},
          features[letter][i],
        ),
      )
      for i in range(swapnet.num_units)
    ]
    for letter, role in compositions.ROLES.items()
  }
  conversions = {
    letter: [
      Cost(
        # Encoder and decoder are one piece on disk and in memory.
        size(variables["converters"][boundary_name(i)]),
        _flops(
          lambda v, x, i=i, letter=letter: swapnet.convert(v, i, letter, x),
          {"converters": variables["converters"]},
          features[other][i + 1],
        ),
      )
      for i in range(swapnet.num_units - 1)
    ]
    for letter, other in (
      (compositions.TEACHER, compositions.STUDENT),
      (compositions.STUDENT, compositions.TEACHER),
    )
  }
  return Costs(units, conversions)


def size(tree: Any) -> int:
  """Bytes of all arrays, or abstract arrays, of a tree."""
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _flops(function, variables, feature) -> int | None:
  found = jax.jit(function).lower(variables, feature).cost_analysis()
  flops = (found or {}).get("flops")
  return None if flops is None else int(flops)
