"""What a table is, as text, for the page and the terminal alike."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.report import phrases


class Cell(NamedTuple):
  """Text, what it is sorted by, and whether it stands for a step down."""

  text: str
  value: float | None = None
  is_down: bool = False


class Table(NamedTuple):
  """The first column names its row; `words` are the columns that are text.

  Made by `filled`, it has no column that is empty.
  """

  title: str
  columns: tuple[str, ...]
  rows: list[tuple[Cell, ...]]
  words: frozenset[int] = frozenset({0})


def filled(
  title: str,
  columns: Sequence[str],
  rows: Sequence[Sequence[Cell]],
  words: Collection[int] = (0,),
) -> Table:
  """Without the columns of which nothing is known in any row."""
  kept = [
    i
    for i in range(len(columns))
    if i == 0 or any(row[i].text != phrases.NOTHING for row in rows)
  ]
  return select(
    Table(title, tuple(columns), [tuple(r) for r in rows], frozenset(words)),
    kept,
  )


def select(table: Table, kept: Sequence[int]) -> Table:
  """Some of the columns, in the order given."""
  return Table(
    table.title,
    tuple(table.columns[i] for i in kept),
    [tuple(row[i] for i in kept) for row in table.rows],
    frozenset(place for place, i in enumerate(kept) if i in table.words),
  )


def accuracy(score: Mapping[str, Any] | None, key: str = "top1") -> Cell:
  value = score and score.get(key)
  return Cell(phrases.percent(value), value)
