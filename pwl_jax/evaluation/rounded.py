"""What compositions answer once their units are rounded, as they are served.

Batch statistics and converters are those that the evaluation found for the
networks as they were trained; nothing is chosen again but the ladder.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.ladder import NO_COARSE, Ladder, Sizes, best_ladder
from pwl_jax.evaluation.scores import check_finite
from pwl_jax.method.composition import TEACHER, in_full


class Rounded(NamedTuple):
  """Accuracies by composition, and the best ladder by the held-out ones."""

  valid: dict[str, float]
  test: dict[str, float]
  ladder: Ladder


def measure_rounded(
  bench: Bench,
  words: Sequence[str],
  variables: Mapping[str, Any],
  improvements: Improvements,
  unit_bytes: Sequence[int],
  coarse_bytes: Sizes = NO_COARSE,
) -> Rounded:
  """Compositions with units in fewer bits among them, where there are any.

  Args:
    bench: of the swap network, on its data.
    words: the compositions.
    variables: as they are served, with the better converters.
    improvements: that the evaluation found.
    unit_bytes: to be read for the teacher's units.
    coarse_bytes: how many of those are enough for fewer bits.
  """
  known = improvements.calibrated
  calibrated = [word for word in words if in_full(word) in known]
  own = [word for word in words if in_full(word) not in known]

  def accuracy(split):
    found = bench.score(split, own, variables) if own else {}
    if calibrated:
      statistics = improvements.statistics
      found |= bench.score(split, calibrated, variables, statistics)
    check_finite(found, f"the rounded networks, on {split} examples,")
    return {word: found[word].top1 for word in words}

  valid, test = accuracy("valid"), accuracy("test")
  teacher = valid[TEACHER * len(unit_bytes)]
  ladder = best_ladder(
    valid,
    unit_bytes,
    coarse_bytes,
    # Exact and coarse differ by less than so few examples can tell.
    tolerance=standard_error(teacher, bench.count("valid"))
    if coarse_bytes
    else 0.0,
  )
  return Rounded(valid, test, ladder)


def standard_error(accuracy: float, examples: int) -> float:
  """Of an accuracy on so many examples."""
  return math.sqrt(accuracy * (1 - accuracy) / examples)
