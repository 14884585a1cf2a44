"""What compositions answer once their units are rounded, as they are served.

Rounding moves what units give: a little, and a converter may make much of it.
So on the rounded units converters are fitted and batch statistics measured once
more, kept where held-out examples gain by it, and the ladder is planned anew.
Units in fewer bits than others, "t", share converters and statistics of "T".
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.examine import (
  ROUNDS,
  SPLITS,
  Options,
  measure,
  refit,
)
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.ladder import NO_COARSE, Ladder, Sizes, best_ladder
from pwl_jax.evaluation.scores import check_finite
from pwl_jax.evaluation.words import wishes
from pwl_jax.method.composition import COARSE, TEACHER, in_full


class Rounded(NamedTuple):
  """By composition, and what they were measured with."""

  valid: dict[str, float]  # Accuracies.
  test: dict[str, float]
  improvements: Improvements
  ladder: Ladder  # The best one, by the held-out examples.


def measure_rounded(
  bench: Bench,
  words: Sequence[str],
  variables: Mapping[str, Any],
  unit_bytes: Sequence[int],
  coarse_bytes: Sizes = NO_COARSE,
  *,
  examples: int,
) -> Rounded:
  """Compositions with units in fewer bits among them, where there are any.

  Args:
    bench: of the swap network, on its data.
    words: the compositions.
    variables: as they are served.
    unit_bytes: to be read for the teacher's units.
    coarse_bytes: how many of those are enough for fewer bits.
    examples: to fit converters and measure statistics on; 0 leaves all as it
      was trained.
  """
  options = Options(calibration_images=examples, refit_images=examples)
  variables, _ = refit(bench, _exact(words, {}), variables, options)
  measured, coarse = None, {split: {} for split in SPLITS}
  for _ in range(ROUNDS):
    exact = _exact(words, measured.own["valid"] if measured else {})
    if exact:
      found = measure(bench, exact, variables, examples)
      measured = found if measured is None else measured | found
    improved = measured.improvements(variables["converters"])
    rest = [word for word in words if COARSE in word]
    for split in SPLITS:
      coarse[split] |= _scores(bench, split, rest, variables, improved)
    valid, test = (measured.accuracy(split) | coarse[split] for split in SPLITS)
    tolerance = 0.0
    if coarse_bytes:  # Exact and coarse differ by less than these can tell.
      teacher = valid[TEACHER * len(unit_bytes)]
      tolerance = standard_error(teacher, bench.count("valid"))
    sizes = valid, unit_bytes, coarse_bytes
    words = wishes(*sizes, tolerance=tolerance)
    if not words:
      break
  ladder = best_ladder(*sizes, tolerance=tolerance)
  return Rounded(valid, test, improved, ladder)


def _exact(words: Sequence[str], known: Collection[str]) -> list[str]:
  """Those to measure without units in fewer bits; others go by what is found.

  Whether "tS" runs on batch statistics of its own, "TS" decides.
  """
  found = dict.fromkeys(in_full(word) for word in words)
  return [word for word in found if word not in known]


def _scores(
  bench: Bench,
  split: str,
  words: Sequence[str],
  variables: Mapping[str, Any],
  found: Improvements,
) -> dict[str, float]:
  known = found.calibrated
  calibrated = [word for word in words if in_full(word) in known]
  own = [word for word in words if in_full(word) not in known]
  scores = bench.score(split, own, variables) if own else {}
  if calibrated:
    scores |= bench.score(split, calibrated, variables, found.statistics)
  check_finite(scores, f"the rounded networks, on {split} examples,")
  return {word: scores[word].top1 for word in words}


def standard_error(accuracy: float, examples: int) -> float:
  """Of an accuracy on so many examples."""
  return math.sqrt(accuracy * (1 - accuracy) / examples)
