"""What compositions answer once their units are rounded, as they are served.

Batch statistics and converters are those that the evaluation found for the
networks as they were trained; nothing is chosen again but the ladder.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.ladder import Ladder, best_ladder
from pwl_jax.evaluation.scores import check_finite


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
) -> Rounded:
  """`variables` are as they are served, with the better converters, and
  `unit_bytes` what the teacher's units take."""
  calibrated = [word for word in words if word in improvements.calibrated]
  own = [word for word in words if word not in improvements.calibrated]

  def accuracy(split):
    found = bench.score(split, own, variables) if own else {}
    if calibrated:
      statistics = improvements.statistics
      found |= bench.score(split, calibrated, variables, statistics)
    check_finite(found, f"the rounded networks, on {split} examples,")
    return {word: found[word].top1 for word in words}

  valid, test = accuracy("valid"), accuracy("test")
  return Rounded(valid, test, best_ladder(valid, unit_bytes))
