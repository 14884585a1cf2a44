"""The best order of loading, from what every composition was measured to do.

A ladder climbs from the student to the teacher, one unit a rung; a unit that
there is in fewer bits, too, may come like that first. The best ladder has the
smallest greatest step down (none, where a ladder without exists), and among
those the largest area under accuracy against bytes loaded: while a unit is on
its way, the composition without it answers.
"""

import itertools
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pwl_jax.method import composition as compositions

T, S = compositions.TEACHER, compositions.STUDENT
Sizes = Mapping[int, int]  # Bytes by unit.
NO_COARSE: Sizes = types.MappingProxyType({})
DIGITS = 9  # Of areas, so that equal ones are equal however they are summed.


class Ladder(NamedTuple):
  """An order of loading and what it is worth."""

  # Units, in the order they are loaded; one that is made exact later, twice.
  order: tuple[int, ...]
  rungs: tuple[str, ...]  # Compositions, the student first.
  worst_step: float  # The greatest loss of accuracy from rung to rung, or 0.
  mean_accuracy: float  # While loading: the area over the teacher's bytes.


def best_ladder(
  accuracy: Mapping[str, float],
  unit_bytes: Sequence[int],
  coarse_bytes: Sizes = NO_COARSE,
  *,
  tolerance: float = 0.0,
) -> Ladder:
  """The best ladder whose rungs were all measured.

  Args:
    accuracy: of every composition, or of families that hold a ladder.
    unit_bytes: of the teacher's units, in their order in the network.
    coarse_bytes: how many of those its units take in fewer bits.
    tolerance: steps down up to this count as none.
  """
  n = len(unit_bytes)
  first, last = S * n, T * n
  for word in accuracy:
    compositions.validate(word, n, coarse_bytes)
  words = sorted(accuracy, key=lambda word: (compositions.height(word), word))
  below = {word: list(_below(word, coarse_bytes)) for word in words}
  worst = {first: 0.0} if first in accuracy else {}
  for word in words:
    steps = [
      max(worst[other], accuracy[other] - accuracy[word])
      for other in below[word]
      if other in worst
    ]
    if steps:
      worst[word] = min(steps)
  if last not in worst:
    raise ValueError(
      f"no ladder from {first} to {last} among the {len(accuracy)} "
      "compositions that were measured; measure at least one family, such as "
      f"{', '.join(compositions.prefix(n))}"
    )
  limit = max(worst[last], tolerance)
  # (-area, changes, rungs) of the best way to each composition within the
  # limit; of equal areas the one with coarse units first, and otherwise in the
  # order of the network.
  best: dict[str, tuple] = {first: (0.0, (), (first,))}
  whole = max(1, sum(unit_bytes))
  for word in words:
    ways = []
    for other in below[word]:
      if other in best and accuracy[other] - accuracy[word] <= limit:
        area, changes, rungs = best[other]
        unit, loaded = _loaded(other, word, unit_bytes, coarse_bytes)
        area -= accuracy[other] * loaded / whole
        change = compositions.rank(word[unit]), unit
        ways.append((area, (*changes, change), (*rungs, word)))
    if ways:
      best[word] = min(ways, key=lambda way: (round(way[0], DIGITS), way[1]))
  return _judged(best[last][2], accuracy, unit_bytes, coarse_bytes)


def judge(
  order: Sequence[int],
  accuracy: Mapping[str, float],
  unit_bytes: Sequence[int],
) -> Ladder:
  """What loading in this order is worth."""
  return _judged(compositions.ladder(order), accuracy, unit_bytes, NO_COARSE)


def _judged(
  rungs: Sequence[str],
  accuracy: Mapping[str, float],
  unit_bytes: Sequence[int],
  coarse_bytes: Sizes,
) -> Ladder:
  order, steps, area = [], [0.0], 0.0
  for below, above in itertools.pairwise(rungs):
    unit, loaded = _loaded(below, above, unit_bytes, coarse_bytes)
    order.append(unit)
    steps.append(accuracy[below] - accuracy[above])
    area += accuracy[below] * loaded
  mean = area / max(1, sum(unit_bytes))
  return Ladder(tuple(order), tuple(rungs), max(steps), mean)


def _below(word: str, coarse: Sizes) -> Iterator[str]:
  """The compositions with less of one teacher unit."""
  for i, letter in enumerate(word):
    for lower in compositions.CLIMB[: compositions.rank(letter)]:
      if lower != compositions.COARSE or i in coarse:
        yield word[:i] + lower + word[i + 1 :]


def _loaded(
  below: str, above: str, unit_bytes: Sequence[int], coarse_bytes: Sizes
) -> tuple[int, int]:
  """The unit that comes from rung to rung, and its bytes."""
  unit = next(i for i, letter in enumerate(below) if letter != above[i])
  sizes = {S: 0, compositions.COARSE: coarse_bytes.get(unit, 0)}
  sizes[T] = unit_bytes[unit]
  return unit, sizes[above[unit]] - sizes[below[unit]]


def best_by_budget(
  accuracy: Mapping[str, float], size: Mapping[str, int]
) -> list[tuple[int, str]]:
  """From how many bytes on which composition is the best one that fits."""
  steps = []
  for word in sorted(accuracy, key=lambda word: (size[word], -accuracy[word])):
    if not steps or accuracy[word] > accuracy[steps[-1][1]]:
      steps.append((size[word], word))
  return steps


def best_within(
  accuracy: Mapping[str, float], size: Mapping[str, int], budget: int
) -> str:
  """The most accurate composition that takes at most `budget` bytes.

  Of equal accuracies the smallest one.
  """
  steps = best_by_budget(accuracy, size)
  fitting = [word for least, word in steps if least <= budget]
  if not fitting:
    least, smallest = steps[0]
    raise ValueError(
      f"no composition fits {budget:,} bytes; the smallest, {smallest}, takes "
      f"{least:,}"
    )
  return fitting[-1]
