"""Which compositions to visit, from the one that is served to another.

Pure functions of words and of what was measured: `accuracy` holds held-out
accuracies by composition. "better" never passes through what was not measured;
both reach what was asked for, whatever it is.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.method.composition import COARSE, rank
from pwl_jax.method.composition import STUDENT as S
from pwl_jax.method.composition import TEACHER as T

POLICIES = ("better", "every")

Crosses = Callable[[str, str], bool]


class Change(NamedTuple):
  """One unit, and the letter that it has from then on."""

  unit: int
  letter: str


def accuracies(manifest: Manifest) -> dict[str, float]:
  """Held-out accuracies; if nothing was measured, the ladder's order."""
  n = manifest.num_units
  found = {
    word: composition.valid
    for word, composition in manifest.compositions.items()
    if composition.valid is not None
  }
  ladder = manifest.ladder or (S * n, T * n)
  return found or {word: float(i) for i, word in enumerate(ladder)}


def loading_order(ladder: Sequence[str], num_units: int) -> list[Change]:
  """The changes from rung to rung, and then those of units that none has."""
  order = [
    Change(i, above[i])
    for below, above in itertools.pairwise(ladder)
    for i in range(num_units)
    if below[i] != above[i]
  ]
  order += [Change(i, T) for i in range(num_units)]
  return list(dict.fromkeys(order))


def route(
  present: str,
  target: str,
  order: Sequence[Change],
  accuracy: Mapping[str, float],
  *,
  policy: str = "better",
  crosses: Crosses = lambda present, word: True,
) -> list[str] | None:
  """The compositions on the way, the target last; None if there is no way.

  What goes back goes back first, and at once. Then the teacher's units come in
  `order`, one by one with "every", and with "better" several at once where a
  step alone would answer worse than what is served by then. To make a unit
  exact counts as no step down: what is measured between the two is chance.

  Args:
    present: what is served.
    target: what is to be served.
    order: of the changes on the way up.
    accuracy: of what was measured.
    policy: "better" or "every".
    crosses: whether there is memory to replace a composition by another one.
      Steps of one unit are taken without asking, as there are no smaller
      ones; on the way down so many units go at once as can.
  """
  down = _down(present, target, order)
  if down and crosses(present, target):
    return [target]
  way, word = [], present
  while down:
    count = next(
      n
      for n in range(len(down), 0, -1)
      if n == 1 or crosses(word, _with(word, down[:n]))
    )
    word = _with(word, down[:count])
    way.append(word)
    down = down[count:]
  up = _up(present, target, order)
  return _upward(way, word, up, accuracy, policy, crosses)


def _down(present: str, target: str, order: Sequence[Change]) -> list[Change]:
  """What came last goes first."""
  units = dict.fromkeys(change.unit for change in reversed(order))
  return [
    Change(i, target[i]) for i in units if rank(target[i]) < rank(present[i])
  ]


def _up(present: str, target: str, order: Sequence[Change]) -> list[Change]:
  """Of the order what lies between the two, and what is missing behind it."""
  found = [
    change
    for change in order
    if rank(present[change.unit])
    < rank(change.letter)
    <= rank(target[change.unit])
  ]
  for i in dict.fromkeys(change.unit for change in order):
    if rank(target[i]) > rank(present[i]) and Change(i, target[i]) not in found:
      found.append(Change(i, target[i]))
  return found


def _upward(
  way: list[str],
  present: str,
  up: Sequence[Change],
  accuracy: Mapping[str, float],
  policy: str,
  crosses: Crosses,
) -> list[str] | None:
  best = accuracy.get(present, float("-inf"))
  word, waiting = present, 0
  for n, change in enumerate(up, start=1):
    word, waiting = _with(word, [change]), waiting + 1
    found = accuracy.get(word)
    mends = found is not None and found >= best
    mends |= waiting == 1 and present[change.unit] == COARSE
    if n == len(up) or policy == "every" or mends:
      if waiting > 1 and not crosses(present, word):
        return None
      way.append(word)
      present, waiting = word, 0
      best = best if found is None else found
  return way


def _with(word: str, changes: Sequence[Change]) -> str:
  letters = list(word)
  for unit, letter in changes:
    letters[unit] = letter
  return "".join(letters)
