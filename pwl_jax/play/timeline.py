"""What was recorded, as play.json has it; docs/serving.md names its fields.

All times are seconds since the bundle was asked for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.bundle.manifest import Composition
from pwl_jax.play.stream import Answer

SCHEMA = 1
BINS = 60  # About as many; a composition that comes or goes ends one, too.


class Rung(NamedTuple):
  """A composition, from when it was served."""

  seconds: float
  composition: str
  resident_bytes: int


class Recorded(NamedTuple):
  """What is left when it is over."""

  rungs: list[Rung]
  answers: list[Answer]
  unanswered: int  # Due before it was ended.
  failures: list[str]
  seconds: float  # Until the last answer.
  error: str  # Why it did not get where it should; "" if it did.
  interrupted: bool


def describe(
  rungs: Sequence[Rung],
  answers: Sequence[Answer],
  *,
  batch: int,
  measured: Mapping[str, Composition],
) -> dict[str, Any]:
  """The parts that follow from what happened; answers in any order."""
  answers = sorted(answers, key=lambda answer: answer.answered)
  return {
    "first_answer_seconds": _rounded(answers[0].answered) if answers else None,
    "rungs": [
      {
        "composition": rung.composition,
        "seconds": _rounded(rung.seconds),
        "resident_bytes": rung.resident_bytes,
        "valid_accuracy": getattr(
          measured.get(rung.composition), "valid", None
        ),
        "test_accuracy": getattr(measured.get(rung.composition), "test", None),
        **summary(
          [a for a in answers if a.composition == rung.composition],
          batch=batch,
        ),
      }
      for rung in rungs
    ],
    "bins": bins(answers, batch=batch),
  }


def summary(answers: Sequence[Answer], *, batch: int) -> dict[str, Any]:
  """Requests, how many examples were right, and latencies."""
  right = [a.right for a in answers if a.right is not None]
  milliseconds = [1000 * (a.answered - a.due) for a in answers]
  return {
    "requests": len(answers),
    "accuracy": sum(right) / (batch * len(right)) if right else None,
    "p50_ms": _rounded(percentile(milliseconds, 50)),
    "p99_ms": _rounded(percentile(milliseconds, 99)),
  }


def bins(answers: Sequence[Answer], *, batch: int) -> list[dict[str, Any]]:
  """Answers by when they came; each bin is of one composition.

  While one composition follows another, answers of both alternate for a while:
  bins are in the order in which they begin, and those of one never overlap.
  """
  if not answers:
    return []
  began = answers[0].answered
  width = (answers[-1].answered - began) / BINS or 1.0

  def place(answer: Answer) -> tuple[int, str]:
    return int((answer.answered - began) / width), answer.composition

  found: dict[tuple[int, str], list[Answer]] = {}
  for answer in answers:
    found.setdefault(place(answer), []).append(answer)
  return [
    {
      "from": _rounded(members[0].answered),
      "until": _rounded(members[-1].answered),
      "composition": composition,
      **summary(members, batch=batch),
    }
    for (_, composition), members in found.items()
  ]


def percentile(values: Sequence[float], percent: float) -> float | None:
  """The least value that so many per cent do not exceed."""
  if not values:
    return None
  rank = math.ceil(percent / 100 * len(values))
  return sorted(values)[max(0, rank - 1)]


def _rounded(value: float | None) -> float | None:
  """To what a clock can tell."""
  return None if value is None else round(value, 6)
