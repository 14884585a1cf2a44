"""The page, the files and the terminal of a comparison."""

import json
import pathlib
from collections.abc import Sequence

from rich.console import Group as Together
from rich.console import RenderableType

from pwl_jax.report import (
  blocks,
  compare,
  compare_loading,
  compare_networks,
  compare_tables,
  phrases,
  terminal,
)
from pwl_jax.report.compare import Group
from pwl_jax.report.run import RESULTS, Run
from pwl_jax.report.table import Cell, Table
from pwl_jax.report.writing import write_pages
from pwl_jax.whole import write_whole

PICTURES = ("quantities", "loading")


def write_comparison(
  runs: Sequence[Run], directory: pathlib.Path
) -> tuple[pathlib.Path, list[Group]]:
  """Writes page, pictures and results.json; returns the page's path."""
  groups = compare.group(told_apart(runs))
  found = (
    compare_networks.picture(groups),
    compare_loading.picture(groups),
  )
  pictures = [picture for picture in found if picture]
  directory.mkdir(parents=True, exist_ok=True)
  text = json.dumps(compare.to_json(groups), indent=2, allow_nan=False)
  write_whole(directory / RESULTS, text + "\n")
  page = _page(groups, pictures)
  return write_pages(directory, page, pictures, PICTURES), groups


def told_apart(runs: Sequence[Run]) -> list[Run]:
  """Workdirs of the same name are called by their whole path."""
  names = [run.name for run in runs]
  return [
    run._replace(name=str(run.workdir)) if names.count(run.name) > 1 else run
    for run in runs
  ]


def summary(groups: Sequence[Group]) -> RenderableType:
  """By group, by run, and what differs, for a terminal."""
  found = [_transposed(compare_tables.by_run(groups))]
  found.append(compare_tables.by_group(groups))
  differences = compare_tables.differences(groups)
  if differences:
    found.append(differences)
  return Together(
    *map(terminal.Fitted, found),
    *map(terminal.Sentence, compare_tables.remarks(groups)),
  )


def _transposed(table: Table) -> Table:
  """Runs become columns where they are fewer than what is known of them."""
  if len(table.rows) >= len(table.columns):
    return table
  columns = ("run", *(row[0].text for row in table.rows))
  rows = [
    (Cell(name), *(row[i] for row in table.rows))
    for i, name in enumerate(table.columns)
    if i
  ]
  return Table(table.title, columns, rows)


def _page(groups: Sequence[Group], pictures) -> str:
  count = sum(len(group.runs) for group in groups)
  title = f"{phrases.number_of(count, 'run')} compared"
  facts = [
    f"{phrases.number_of(len(groups), 'group')}; the runs of a group differ in "
    "the seed alone, or in what changes no result.",
    "Means ± sample standard deviations over runs. Accuracies are those on "
    "test examples where there are some.",
  ]
  opened = [compare_tables.by_group(groups), compare_tables.differences(groups)]
  opened += [compare_tables.by_run(groups)]
  folded = [
    compare_tables.by_share(groups, name) for name in compare.ladders(groups)
  ]
  remarks = compare_tables.remarks(groups)
  return blocks.document(
    title,
    [
      blocks.header("pwl_jax", title, facts),
      blocks.remarks("What to know", remarks),
      *map(blocks.of_picture, pictures),
      *(
        blocks.section(blocks.of_table(table, sortable=table.title == "By run"))
        for table in opened
        if table
      ),
      *(
        blocks.details(table.title, blocks.of_table(table)) for table in folded
      ),
    ],
  )
