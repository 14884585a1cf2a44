"""A report on a terminal: the same tables, and what they say."""

import rich.box
import rich.table
from rich.console import Group, RenderableType
from rich.text import Text

from pwl_jax.report import findings, tables
from pwl_jax.report.results import Results


def of_table(table: tables.Table) -> rich.table.Table:
  """Text only: nothing that comes from a file is taken for markup."""
  shown = rich.table.Table(
    title=Text(table.title, style="bold"),
    title_justify="left",
    box=rich.box.SIMPLE_HEAD,
    pad_edge=False,
  )
  for i, name in enumerate(table.columns):
    justify = "left" if i in table.words else "right"
    shown.add_column(Text(name), justify=justify, overflow="fold")
  for row in table.rows:
    shown.add_row(
      *(Text(cell.text, style="red" if cell.is_down else "") for cell in row)
    )
  return shown


def of_networks(results: Results) -> RenderableType:
  """As many columns as a terminal has room for."""
  table = tables.networks(results)
  names = ("network", "bytes", "test", "95 % interval", "held out")
  kept = [i for i, name in enumerate(table.columns) if name in names]
  return of_table(
    tables.Table(
      table.title,
      tuple(table.columns[i] for i in kept),
      [tuple(row[i] for i in kept) for row in table.rows],
    )
  )


def summary(results: Results) -> RenderableType:
  """The networks, the way from student to teacher, and what it comes to."""
  parts: list[RenderableType] = []
  if findings.network_names(results):
    parts.append(of_networks(results))
  loading = tables.loading(results)
  if loading:
    parts.append(of_table(loading))
  parts += [Text(sentence) for sentence in findings.sentences(results)]
  for name, why in results["absent"].items():
    parts.append(Text(f"Absent: {name}. {why}", style="yellow"))
  return Group(*parts)
