"""The figures of recipes, out of the results of their runs; all in %."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pwl_jax.method import composition as compositions

Found = Mapping[str, list[Any]]  # Results of each recipe, by seed.
STUDENTS = ("student_plain", "student_kd")


def each_seed(found: Found, split: str) -> dict[str, dict[str, list[float]]]:
  """recipe -> network -> the accuracy of every seed."""
  known: dict[str, dict[str, list[float]]] = {}
  for name, runs in found.items():
    each = [accuracies(results, split) for results in runs]
    known[name] = {
      network: [one[network] for one in each] for network in each[0]
    }
  return known


def accuracies(results: Mapping[str, Any], split: str) -> dict[str, float]:
  """Of one run: of the students, then of all compositions as served."""
  students = {
    name: found
    for name, found in results["networks"].items()
    if name in STUDENTS
  }
  return percent(students | results["compositions"], split)


def percent(scored: Mapping[str, Any], split: str) -> dict[str, float]:
  return {name: 100 * found[split]["top1"] for name, found in scored.items()}


def figures(results: Mapping[str, Any], split: str) -> dict[str, float]:
  """Of one run."""
  known = results["compositions"]
  served = percent(known, split)
  before = percent(
    {word: c["uncalibrated"] or c for word, c in known.items()}, split
  )
  rungs = compositions.prefix(len(next(iter(known))))
  student, teacher = served[rungs[0]], served[rungs[-1]]
  mixed = [served[word] for word in served if len(set(word)) > 1]
  return {
    "teacher": teacher,
    "student": student,
    "worst": min(served.values()),
    "mean": statistics.mean(served.values()),
    "below": sum(value < student for value in served.values()),
    "margin": min(mixed) - student,
    "dip": _dip([served[word] for word in rungs]),
    "worst_before": min(before.values()),
    "mean_before": statistics.mean(before.values()),
    "dip_before": _dip([before[word] for word in rungs]),
  }


def _dip(values: Sequence[float]) -> float:
  """The largest step down, and 0 where there is none."""
  return max(0.0, *(a - b for a, b in itertools.pairwise(values)))
