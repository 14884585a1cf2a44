"""Which compositions to measure: all of them, or what is worth a look.

With many units the families come first. What else is worth a look is what a
plain model of accuracy puts on the best ladder: a sum of what every unit gives,
fewer bits of it and every switch take, fitted to what was measured. Its best
ladder is measured, the model fitted anew, and so on until the best ladder is
known.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pwl_jax.evaluation.ladder import NO_COARSE, Sizes, best_ladder
from pwl_jax.method import composition as compositions

ALL_UP_TO = 128  # Compositions: seven units.
PLANNED_UP_TO = 4096  # Twelve units; more would take the planner minutes.


def first_words(num_units: int) -> list[str]:
  """Every composition, or for many units the members of the families."""
  if 2**num_units <= ALL_UP_TO:
    return compositions.every(num_units)
  families = [
    compositions.family(name, num_units) for name in compositions.FAMILIES
  ]
  return list(dict.fromkeys(itertools.chain(*families)))


def with_coarse(
  words: Sequence[str], ladder: Sequence[str], coarse: Collection[int]
) -> list[str]:
  """What to measure where units in `coarse` may come in fewer bits first.

  All compositions; or, of many, those that are known and those in which the
  units of a ladder have come so far as they are coarse, and so far exactly.
  `wishes` asks for others.
  """
  num_units = len(ladder[0])
  if _count(num_units, coarse) <= ALL_UP_TO:
    return compositions.every(num_units, coarse)
  found = list(words)
  for exact, come in itertools.combinations_with_replacement(ladder, 2):
    letters = [
      compositions.COARSE if i in coarse and a != b else b
      for i, (a, b) in enumerate(zip(exact, come, strict=True))
    ]
    found.append("".join(letters))
  return list(dict.fromkeys(found))


def wishes(
  accuracy: Mapping[str, float],
  unit_bytes: Sequence[int],
  coarse_bytes: Sizes = NO_COARSE,
  *,
  tolerance: float = 0.0,
) -> list[str]:
  """What to measure beside what is known, as it may make a better ladder.

  The arguments are those of `best_ladder`.
  """
  sizes, n = (unit_bytes, coarse_bytes), len(unit_bytes)
  if _count(n, coarse_bytes) <= PLANNED_UP_TO:
    known = expected(accuracy, n, coarse_bytes) | accuracy
    rungs = best_ladder(known, *sizes, tolerance=tolerance).rungs
  else:
    rungs = neighbours(best_ladder(accuracy, *sizes, tolerance=tolerance).rungs)
  return [word for word in rungs if word not in accuracy]


def _count(num_units: int, coarse: Collection[int]) -> int:
  """Of all compositions."""
  return 3 ** len(coarse) * 2 ** (num_units - len(coarse))


def expected(
  accuracy: Mapping[str, float], num_units: int, coarse: Collection[int] = ()
) -> dict[str, float]:
  """Accuracies of all compositions, as a sum of units and switches.

  The least sum of squares of the known ones, with a slight pull to zero for
  what they do not tell apart.
  """
  known, every = list(accuracy), compositions.every(num_units, coarse)
  rows, target = _features(known), np.array([accuracy[w] for w in known])
  pull = 1e-3 * np.eye(rows.shape[1])
  weights = np.linalg.solve(rows.T @ rows + pull, rows.T @ target)
  found = np.clip(_features(every) @ weights, 0, 1)
  return dict(zip(every, found.tolist(), strict=True))


def _features(words: Sequence[str]) -> np.ndarray:
  """One, the teacher's units, those of fewer bits, switches to either side."""
  letters = np.array([list(word) for word in words])
  bits = (letters != compositions.STUDENT).astype(float)
  fewer = (letters == compositions.COARSE).astype(float)
  up = (1 - bits[:, :-1]) * bits[:, 1:]
  down = bits[:, :-1] * (1 - bits[:, 1:])
  one = np.ones((len(bits), 1))
  return np.concatenate([one, bits, fewer, up, down], axis=1)


def neighbours(rungs: Sequence[str]) -> list[str]:
  """Compositions met if two changes that follow each other come the other way.

  A unit that is made exact right after it came changes nothing.
  """
  found = []
  for below, between, above in zip(rungs, rungs[1:], rungs[2:], strict=False):
    other = "".join(
      a if b == c else c for a, b, c in zip(below, between, above, strict=True)
    )
    if other not in (below, above):
      found.append(other)
  return found
