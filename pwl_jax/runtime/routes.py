"""Which compositions to visit, from the one that is served to another.

Pure functions of words and of what was measured: `accuracy` holds held-out
accuracies by composition, and `sizes` bytes. What was not measured is never
visited, unless it is what was asked for.
"""

import itertools
from collections.abc import Mapping, Sequence

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.method.composition import STUDENT as S
from pwl_jax.method.composition import TEACHER as T

POLICIES = ("better", "every")


def accuracies(manifest: Manifest) -> dict[str, float]:
  """Held-out accuracies; if nothing was measured, the ladder's order."""
  found = {
    word: composition.valid
    for word, composition in manifest.compositions.items()
    if composition.valid is not None
  }
  return found or {word: i for i, word in enumerate(manifest.ladder)}


def loading_order(ladder: Sequence[str]) -> list[int]:
  """The unit that each rung changes."""
  return [
    next(i for i, letter in enumerate(below) if letter != above[i])
    for below, above in itertools.pairwise(ladder)
  ]


def route(
  present: str,
  target: str,
  order: Sequence[int],
  accuracy: Mapping[str, float],
  *,
  policy: str = "better",
) -> list[str]:
  """The compositions on the way; the target is the last of them.

  On the way up the teacher's units come in `order`, one by one with "every",
  and with "better" several at once where a step alone would answer worse than
  what is served by then. Units that go back to the student's all go at once.
  """
  if present == target:
    return []
  if T in (a for a, b in zip(present, target, strict=True) if b == S):
    return [target]
  visited, word, best = [], present, accuracy.get(present, 0.0)
  for unit in order:
    if target[unit] == word[unit]:
      continue
    word = word[:unit] + T + word[unit + 1 :]
    found = accuracy.get(word)
    if word == target or policy == "every" or (found or 0.0) >= best:
      visited.append(word)
      best = best if found is None else found
  return visited


def best_within(
  accuracy: Mapping[str, float], sizes: Mapping[str, int], budget: int
) -> str | None:
  """The most accurate composition that fits; of equal ones the smallest."""
  fitting = [word for word in accuracy if sizes[word] <= budget]
  return max(
    fitting, key=lambda word: (accuracy[word], -sizes[word]), default=None
  )
