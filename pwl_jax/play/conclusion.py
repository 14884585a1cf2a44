"""What stays on the terminal: the rungs, what was gained, what went wrong."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal as size
from rich.table import Table

from pwl_jax.play.timeline import Recorded
from pwl_jax.report import served

LOG_COLUMNS = 1000  # Where there is no terminal, nothing has to be left out.
GAP = 2  # Columns between two of the table.
# Of most to tell; the last of them go first where there is no room.
TELLING = ("served", "from", "measured", "stream", "p99", "requests")
TELLING += ("p50", "memory")
FEWEST = 3  # Where there is less room, a long composition takes two lines.
SHOWN = ("served", "from", "measured", "stream", "requests")
SHOWN += ("p50", "p99", "memory")


def say(found: Mapping[str, Any], recorded: Recorded):
  """Of what is written by then."""
  console = Console(highlight=False)
  if not console.is_terminal:
    console.width = LOG_COLUMNS
  console.print(table(found["rungs"], console.width))
  for line in served.sentences(found):
    console.print(line, markup=False)
  if recorded.interrupted:
    _note("interrupted; what was recorded until then is written")
  if recorded.error:
    _note(f"the upgrade ended early: {recorded.error}")
  if recorded.failures:
    _note(f"{len(recorded.failures)} failed, such as {recorded.failures[0]}")


def table(rungs: Sequence[Mapping[str, Any]], columns: int) -> Table:
  """So much of it as fits.

  "stream" is the share of its examples that were right, "measured" that of
  the test examples when the bundle was made.
  """
  cells = [_cells(rung) for rung in rungs]
  widths = {
    name: max(len(name), *(len(row[name]) for row in cells)) for name in TELLING
  }
  names = list(TELLING)
  while (
    len(names) > FEWEST
    and sum(widths[name] + GAP for name in names) - GAP > columns
  ):
    names.pop()
  found = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
  shown = [name for name in SHOWN if name in names]
  for name in shown:
    if name == "served":
      found.add_column(name, overflow="fold")
    else:
      found.add_column(name, justify="right", min_width=widths[name])
  for row in cells:
    found.add_row(*(row[name] for name in shown))
  return found


def _cells(rung: Mapping[str, Any]) -> Mapping[str, str]:
  measured = rung["test_accuracy"]
  if measured is None:
    measured = rung["valid_accuracy"]
  return {
    "served": rung["composition"],
    "from": f"{rung['seconds']:.2f} s",
    "measured": _percent(measured),
    "stream": _percent(rung["accuracy"]),
    "requests": f"{rung['requests']:,}",
    "p50": _milliseconds(rung["p50_ms"]),
    "p99": _milliseconds(rung["p99_ms"]),
    "memory": size(rung["resident_bytes"]),
  }


def _percent(share: float | None) -> str:
  return "-" if share is None else f"{100 * share:.2f} %"


def _milliseconds(value: float | None) -> str:
  return "-" if value is None else f"{value:.3g} ms"


def _note(text: str):
  print(text, file=sys.stderr, flush=True)
