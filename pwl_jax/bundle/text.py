"""Text that people read: JSON whose lines are full, and lines for a terminal.

In JSON, what fits on a line stays on it.
"""

import json
from collections.abc import Mapping
from typing import Any

WIDTH = 100


def render(value: Any, depth: int = 0) -> str:
  """JSON with an indent of one space; only numbers that JSON has."""
  flat = json.dumps(value, allow_nan=False, ensure_ascii=True)
  inner = list(value) if isinstance(value, list | tuple) else value
  if len(flat) + depth <= WIDTH or not inner:
    return flat if depth else flat + "\n"
  if isinstance(value, Mapping):
    lines = [
      f"{json.dumps(name)}: {render(part, depth + 1)}"
      for name, part in value.items()
    ]
    left, right = "{}"
  elif isinstance(value, list | tuple) and not _is_row(value):
    lines = [render(part, depth + 1) for part in value]
    left, right = "[]"
  else:
    return flat
  indent = "\n" + " " * (depth + 1)
  body = ("," + indent).join(lines)
  end = "\n" + " " * depth + right
  return left + indent + body + end + ("" if depth else "\n")


def _is_row(value) -> bool:
  """A leaf: its digest alone would fill the line."""
  return any(isinstance(part, list | tuple) for part in value)


def plain(line: str) -> str:
  """Nothing that a terminal obeys: no escapes, no changes of direction."""
  return "".join(
    letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
    for letter in line
  )
