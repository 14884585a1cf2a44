"""Numbers as people read them: the same words on the page and the terminal."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"  # noqa: RUF001
NAMES = {
  "student_plain": "student, on its own",
  "student_kd": "student, plain distillation",
  "student": "student of the swap network",
  "teacher": "teacher",
}

UNIT = re.compile(r"(?<=\d) (?=%|[kMGT]?B\b|points\b)")  # Before one.


def percent(share: float | None, digits: int = 2) -> str:
  return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def points(step: float) -> str:
  """A difference of two accuracies; what is not zero never reads as zero."""
  size = 100 * abs(step)
  if 0 < size < 0.01:
    return "less than 0.01 points"
  return f"{size:.2f} points"


def signed(step: float) -> str:
  """For tables: +1.20, or its negative, and 0 only where it is."""
  if step == 0:
    return "0"
  sign = "+" if step > 0 else "−"  # noqa: RUF001
  size = 100 * abs(step)
  return f"{sign}{size:.2f}" if size >= 0.01 else f"{sign}<0.01"


def interval(score: Mapping[str, Any]) -> str:
  if not score["interval"]:
    return NOTHING
  low, high = score["interval"]
  return f"{100 * low:.2f}–{100 * high:.2f}"  # noqa: RUF001


def size(count: float | None) -> str:
  """Bytes, in thousands: 8,568 B is 8.57 kB."""
  return scaled(count, ("B", "kB", "MB", "GB", "TB"))


def operations(count: float | None) -> str:
  return scaled(count, ("", "k", "M", "G", "T", "P")) if count else NOTHING


def scaled(count: float | None, names: tuple[str, ...]) -> str:
  """Three digits and the name of the thousands."""
  if count is None:
    return NOTHING
  value, place = float(count), 0
  while round(value, 1) >= 1000 and place < len(names) - 1:
    value, place = value / 1000, place + 1
  if place == 0:
    return f"{count:,.0f} {names[0]}".strip()
  digits = 0 if value >= 100 else 1 if value >= 10 else 2
  return f"{value:.{digits}f} {names[place]}"


def whole(count: float | None) -> str:
  return NOTHING if count is None else f"{count:,}"


def examples(
  shape: Sequence[int], kind: str | None = None, sample_rate: int | None = None
) -> str:
  """What the examples of a set are; older results do not say their kind."""
  if kind == "texts":
    return f"texts of {number_of(shape[0], 'token')}"
  if kind == "sounds":
    speed = f" at {whole(sample_rate)} per second" if sample_rate else ""
    return f"sounds of {number_of(shape[0], 'sample')}{speed}"
  noun = kind or ("images" if len(shape) == 3 else "inputs")
  return f"{noun} of {'×'.join(map(whole, shape))}"  # noqa: RUF001


def loss(value: float | None) -> str:
  known = value is not None and math.isfinite(value)
  return f"{value:.3f}" if known else NOTHING


def seconds(value: float) -> str:
  """0.0123 -> 12.3 ms; 75 -> 1 min 15 s."""
  if value < 1:
    return f"{1000 * value:.3g} ms"
  if value < 60:
    return f"{value:.3g} s"
  minutes, rest = divmod(round(value), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def times(ratio: float) -> str | None:
  """None where it would be 1.0 times."""
  if ratio < 1.05:
    return None
  return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def number_of(count: int, noun: str, several: str = "") -> str:
  return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def listed(names: list[str]) -> str:
  """a, b and c."""
  if len(names) < 2:
    return "".join(names)
  return f"{', '.join(names[:-1])} and {names[-1]}"
