"""A report on a terminal: the same tables, and what they say."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import rich.box
import rich.table
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from pwl_jax.report import findings, phrases, tables
from pwl_jax.report.results import Results
from pwl_jax.report.table import Table, select

LEAST = 2  # Columns, however narrow a terminal is.
FOLDED = 14  # Where there is little room, longer words are broken.
BETWEEN = 3  # Columns, a little less at the edges.
HELD = "\xa0"  # A space that textwrap does not break at.


class Fitted(NamedTuple):
  """A table without its last columns where there is no room for them.

  Values are never broken, and what is left out is named.
  """

  table: Table

  def __rich_console__(self, console: Console, options: ConsoleOptions):
    most = len(self.table.columns)
    # First with headings on one line, then with fewer and fewer columns.
    tries = [(most, False), *((n, True) for n in range(most, 0, -1))]
    for count, is_broken in tries:
      shown = of_columns(self.table, range(count), is_broken=is_broken)
      needed = sum(column.min_width + BETWEEN for column in shown.columns)
      if needed <= options.max_width or (is_broken and count <= LEAST):
        break
    yield shown
    if count < len(self.table.columns):
      names = ", ".join(self.table.columns[count:])
      yield Text(f"No room for: {names}\n", style="dim")


class Sentence(NamedTuple):
  """Broken into lines, but not between a number and its unit."""

  text: str
  style: str = ""

  def __rich_console__(self, console: Console, options: ConsoleOptions):
    joined = phrases.UNIT.sub(HELD, self.text)
    lines = textwrap.wrap(
      joined,
      options.max_width,
      break_long_words=False,
      break_on_hyphens=False,
    )
    text = "\n".join(lines).replace(HELD, " ")
    yield Text(text, style=self.style, no_wrap=True, overflow="fold")


def of_columns(
  table: Table, kept: Sequence[int], *, is_broken: bool
) -> rich.table.Table:
  """Text only: nothing that comes from a file is taken for markup."""
  table = select(table, kept)
  shown = rich.table.Table(
    title=Text(table.title, style="bold"),
    title_justify="left",
    box=rich.box.SIMPLE_HEAD,
    pad_edge=False,
  )
  for i, name in enumerate(table.columns):
    is_word = i in table.words
    texts = [row[i].text for row in table.rows]
    if is_word:
      texts = [word for text in texts for word in text.split()]
    heading = name.split() if is_broken or is_word else [name]
    width = max(map(len, [*heading, *texts]), default=1)
    if is_word and is_broken:
      width = min(width, FOLDED)
    shown.add_column(
      Text(name if is_word else textwrap.fill(name, width)),
      justify="left" if is_word else "right",
      min_width=width,
      no_wrap=not is_word,
      overflow="fold",
    )
  for row in table.rows:
    shown.add_row(
      *(Text(cell.text, style="red" if cell.is_down else "") for cell in row)
    )
  return shown


def of_networks(results: Results) -> RenderableType:
  """What matters most; the page has the rest."""
  table = tables.networks(results)
  names = ("network", "bytes", "test", "95 % interval", "held out")
  kept = [i for i, name in enumerate(table.columns) if name in names]
  return Fitted(select(table, kept))


def summary(results: Results) -> RenderableType:
  """The networks, the way from student to teacher, and what it comes to."""
  parts: list[RenderableType] = []
  if findings.network_names(results):
    parts.append(of_networks(results))
  loading = tables.loading(results)
  if loading:
    parts.append(Fitted(loading))
  parts += [Sentence(sentence) for sentence in findings.sentences(results)]
  for name, why in results["absent"].items():
    parts.append(Sentence(f"Absent: {name}. {why}", "yellow"))
  return Group(*parts)
