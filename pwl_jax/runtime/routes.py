"""Which compositions to visit, from the one that is served to another.

Pure functions of words and of what was measured: `accuracy` holds held-out
accuracies by composition. "better" never passes through what was not measured;
both reach what was asked for, whatever it is.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.method.composition import STUDENT as S
from pwl_jax.method.composition import TEACHER as T

POLICIES = ("better", "every")

Crosses = Callable[[str, str], bool]


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


def loading_order(ladder: Sequence[str], num_units: int) -> list[int]:
  """The units as the rungs change them, and then those that none does."""
  order = [
    i
    for below, above in itertools.pairwise(ladder)
    for i in range(num_units)
    if below[i] != above[i]
  ]
  return list(dict.fromkeys([*order, *range(num_units)]))


def route(
  present: str,
  target: str,
  order: Sequence[int],
  accuracy: Mapping[str, float],
  *,
  policy: str = "better",
  crosses: Crosses = lambda present, word: True,
) -> list[str] | None:
  """The compositions on the way, the target last; None if there is no way.

  What goes back to the student's goes back first, and at once. Then the
  teacher's units come in `order`, one by one with "every", and with "better"
  several at once where a step alone would answer worse than what is served by
  then.

  Args:
    present: what is served.
    target: what is to be served.
    order: of the units on the way up.
    accuracy: of what was measured.
    policy: "better" or "every".
    crosses: whether there is memory to replace a composition by another one.
      Steps of one unit are taken without asking, as there are no smaller
      ones; on the way down so many units go at once as can.
  """
  changes = list(zip(present, target, strict=True))
  down = [i for i in reversed(order) if changes[i] == (T, S)]
  if down and crosses(present, target):
    return [target]
  way, word = [], present
  while down:
    count = next(
      n
      for n in range(len(down), 0, -1)
      if n == 1 or crosses(word, _with(word, down[:n], S))
    )
    word = _with(word, down[:count], S)
    way.append(word)
    down = down[count:]
  up = [i for i in order if changes[i] == (S, T)]
  return _upward(way, word, up, accuracy, policy, crosses)


def _upward(
  way: list[str],
  present: str,
  up: Sequence[int],
  accuracy: Mapping[str, float],
  policy: str,
  crosses: Crosses,
) -> list[str] | None:
  best = accuracy.get(present, float("-inf"))
  word, waiting = present, 0
  for n, unit in enumerate(up, start=1):
    word, waiting = _with(word, [unit], T), waiting + 1
    found = accuracy.get(word)
    mends = found is not None and found >= best
    if n == len(up) or policy == "every" or mends:
      if waiting > 1 and not crosses(present, word):
        return None
      way.append(word)
      present, waiting = word, 0
      best = best if found is None else found
  return way


def _with(word: str, units: Sequence[int], letter: str) -> str:
  return "".join(letter if i in units else a for i, a in enumerate(word))
