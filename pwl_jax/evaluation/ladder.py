"""The best order of loading, from what every composition was measured to do.

A ladder climbs from the student to the teacher, one unit a rung. The best one
has the smallest greatest step down (none, where a ladder without exists), and
among those the largest area under accuracy against bytes loaded: while a unit
is on its way, the composition without it answers.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pwl_jax.method import composition as compositions

T, S = compositions.TEACHER, compositions.STUDENT


class Ladder(NamedTuple):
  """An order of loading and what it is worth."""

  order: tuple[int, ...]  # Units, in the order they are loaded.
  rungs: tuple[str, ...]  # Compositions, the student first.
  worst_step: float  # The greatest loss of accuracy from rung to rung, or 0.
  mean_accuracy: float  # While loading: the area over the teacher's bytes.


def best_ladder(
  accuracy: Mapping[str, float], unit_bytes: Sequence[int]
) -> Ladder:
  """The best ladder whose rungs were all measured.

  Args:
    accuracy: of every composition, or of families that hold a ladder.
    unit_bytes: of the teacher's units, in their order in the network.
  """
  n = len(unit_bytes)
  first, last = S * n, T * n
  for word in accuracy:
    compositions.validate(word, n)
  levels = [
    sorted(w for w in accuracy if w.count(T) == k) for k in range(n + 1)
  ]
  worst = {first: 0.0} if first in accuracy else {}
  for level in levels[1:]:
    for word in level:
      steps = [
        max(worst[below], accuracy[below] - accuracy[word])
        for below in _below(word)
        if below in worst
      ]
      if steps:
        worst[word] = min(steps)
  if last not in worst:
    raise ValueError(
      f"no ladder from {first} to {last} among the {len(accuracy)} "
      "compositions that were measured; measure at least one family, such as "
      f"{', '.join(compositions.prefix(n))}"
    )
  limit = worst[last]
  # (area, order) of the best way to each composition within the limit; of
  # equal areas the order that comes first, which is that of the network.
  best = {first: (0.0, ())}
  for level in levels[1:]:
    for word in level:
      ways = [
        (best[below], below)
        for below in _below(word)
        if below in best and accuracy[below] - accuracy[word] <= limit
      ]
      if ways:
        best[word] = _best_way(word, ways, accuracy, unit_bytes)
  return judge(best[last][1], accuracy, unit_bytes)


def judge(
  order: Sequence[int],
  accuracy: Mapping[str, float],
  unit_bytes: Sequence[int],
) -> Ladder:
  """What loading in this order is worth."""
  rungs = compositions.ladder(order)
  steps = [accuracy[a] - accuracy[b] for a, b in itertools.pairwise(rungs)]
  area = sum(
    accuracy[rung] * unit_bytes[unit]
    for rung, unit in zip(rungs, order, strict=False)
  )
  return Ladder(
    tuple(order), tuple(rungs), max(0.0, *steps), area / max(1, sum(unit_bytes))
  )


def _best_way(word, ways, accuracy, unit_bytes):
  found = []
  for (area, order), below in ways:
    unit = next(i for i in range(len(word)) if word[i] != below[i])
    found.append((area + accuracy[below] * unit_bytes[unit], (*order, unit)))
  most = max(area for area, _ in found)
  return most, min(order for area, order in found if area == most)


def _below(word: str) -> list[str]:
  """The compositions with one teacher unit less."""
  return [
    word[:i] + S + word[i + 1 :] for i in range(len(word)) if word[i] == T
  ]


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
