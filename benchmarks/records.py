"""What a benchmark found, as tables: on a screen, as Markdown, as JSON.

A benchmark's `main(argv)` prints its records, writes them where `--json` says,
and returns them. On a screen, a table that is too wide for it is turned.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

Figures = Mapping[str, float | int | None]


@dataclasses.dataclass(frozen=True)
class Record:
  """One table: a row of figures, by name, for each case."""

  title: str
  rows: Mapping[str, Figures]
  notes: Sequence[str] = ()

  def columns(self) -> list[str]:
    """Of all rows, which need not have the same figures."""
    return list(
      dict.fromkeys(name for row in self.rows.values() for name in row)
    )

  def cells(self) -> Iterable[tuple[str, ...]]:
    """The rows as texts, the case first."""
    for case, row in self.rows.items():
      yield (case, *(told(row.get(name)) for name in self.columns()))

  def header(self) -> tuple[str, ...]:
    return ("case", *(name.replace("_", " ") for name in self.columns()))


def told(value: float | int | None) -> str:
  """Three digits, and all of those before the point."""
  if value is None:
    return ""
  if isinstance(value, int) or abs(value) >= 100:
    return f"{value:,.0f}"
  return f"{value:.3g}"


def parser_of(module: str, doc: str) -> argparse.ArgumentParser:
  """A benchmark's own, by the first line of its docstring."""
  parser = argparse.ArgumentParser(
    prog=f"python -m {module}", description=doc.split("\n")[0]
  )
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  return parser


def tell(records: Sequence[Record], path: pathlib.Path | None) -> list[Record]:
  """Prints them, writes them to the file, if any, and returns them."""
  console = Console()
  unbounded = console.options.update(width=10_000)
  for record in records:
    lines = [record.header(), *record.cells()]
    table = _table(lines)
    if console.measure(table, options=unbounded).maximum > console.width:
      table = _table([*zip(*lines, strict=True)])
    console.print(record.title, style="italic", markup=False)
    console.print(table)
    for note in record.notes:
      console.print(note, style="dim", markup=False)
  if path:
    found = [dataclasses.asdict(record) for record in records]
    path.write_text(json.dumps(found, indent=2) + "\n")
  return list(records)


def _table(lines: Sequence[Sequence[str]]) -> Table:
  header, *rows = lines
  table = Table(*header, box=None)
  for column in table.columns[1:]:
    column.justify = "right"
  for row in rows:
    table.add_row(*row)
  return table


def markdown(record: Record) -> str:
  header = record.header()
  rule = ("---", *("---:" for _ in header[1:]))
  lines = [
    "| " + " | ".join(row) + " |" for row in (header, rule, *record.cells())
  ]
  return "\n".join([f"**{record.title}**", "", *lines, "", *_listed(record)])


def _listed(record: Record) -> list[str]:
  return [f"- {note}" for note in record.notes] + [""] * bool(record.notes)
