"""One way to refuse a name, so that every such message reads the same."""

import difflib
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
