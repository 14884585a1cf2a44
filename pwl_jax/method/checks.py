"""One way to refuse a name or a number, so that such messages read alike."""

import difflib
import math
import numbers
from collections.abc import Iterable


def check_choice(
  what: str, given: object, allowed: Iterable[str], *, otherwise: str = ""
):
  """Raises unless `given` is one of `allowed`; guesses what was meant."""
  allowed = list(allowed)
  if given in allowed:
    return
  close = difflib.get_close_matches(str(given), allowed, n=1)
  hint = f" (did you mean {close[0]!r}?)" if close else ""
  raise ValueError(
    f"unknown {what} {given!r}{hint}; choose one of {', '.join(allowed)}"
    + (f", or {otherwise}" if otherwise else "")
  )


def check_range(name: str, value: float, low: float, below: float = math.inf):
  """Raises unless low <= value < below."""
  if not isinstance(value, numbers.Real):
    raise ValueError(f"{name} is {value!r}; it has to be a number")
  if not low <= value < below:
    upper = f" and below {below}" if below < math.inf else ""
    raise ValueError(f"{name} is {value}; it has to be at least {low}{upper}")
