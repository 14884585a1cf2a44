"""Which compositions to measure: all of them, or what is worth a look."""

import itertools
from collections.abc import Collection, Sequence

from pwl_jax.method import composition as compositions

ALL_UP_TO = 128  # Compositions: seven units.


def first_words(num_units: int) -> list[str]:
  """Every composition, or for many units the members of the families."""
  if 2**num_units <= ALL_UP_TO:
    return compositions.every(num_units)
  families = [
    compositions.family(name, num_units) for name in compositions.FAMILIES
  ]
  return list(dict.fromkeys(itertools.chain(*families)))


def wishes(order: Sequence[int], known: Collection[str]) -> list[str]:
  """What to measure beside a ladder, which may make a better one.

  Loading two neighbours in the order the other way round passes through one
  other composition; those that are not known yet.
  """
  found = []
  for i in range(len(order) - 1):
    other = list(order)
    other[i], other[i + 1] = other[i + 1], other[i]
    found.append(compositions.ladder(other)[i + 1])
  return [word for word in found if word not in known]
