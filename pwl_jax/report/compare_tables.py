"""The tables of a comparison: group by group, run by run, what differs."""

import json
from collections.abc import Sequence

from pwl_jax.report import compare, phrases
from pwl_jax.report.compare import SEED, Group
from pwl_jax.report.results import NETWORKS
from pwl_jax.report.table import Cell, Table, filled

# What has a row of its own.
TITLES = {
  **{f"test.{name}": phrases.NAMES[name] for name in NETWORKS},
  "worst_composition": "worst composition",
  "planned.worst_step": "worst step, planned",
  "planned.mean_accuracy": "while loading, planned",
}


def shown(groups: Sequence[Group]) -> list[str]:
  """The quantities that some run has; held-out ones where none has tests."""
  known = set().union(*(values for group in groups for values in group.values))
  return [name for name in all_titles(groups) if name in known]


def all_titles(groups: Sequence[Group]) -> dict[str, str]:
  known = set().union(*(values for group in groups for values in group.values))
  if any(name.startswith("test.") for name in known):
    return TITLES
  held_out = {
    f"valid.{name}": f"{phrases.NAMES[name]}, held out" for name in NETWORKS
  }
  return held_out | TITLES


def by_group(groups: Sequence[Group]) -> Table:
  """A row per quantity: groups are few, quantities are many."""
  titles = all_titles(groups)
  rows = [
    (Cell(titles[name]), *(_mean(group, name) for group in groups))
    for name in shown(groups)
  ]
  columns = ("mean ± spread", *(heading(group) for group in groups))
  return Table("By group", columns, rows)


def heading(group: Group) -> str:
  n = len(group.runs)
  return f"{group.name}, {'one run' if n == 1 else f'{n} runs'}"


def _mean(group: Group, name: str) -> Cell:
  found = group.summary(name)
  if found is None:
    return Cell(phrases.NOTHING)
  text = number(name, found.mean)
  if found.spread is not None:
    text += f" ± {100 * found.spread:.2f}"
  if found.n < len(group.runs):
    text += f" ({'one run' if found.n == 1 else f'{found.n} runs'})"
  return Cell(text, found.mean)


def number(name: str, value: float) -> str:
  """Steps are differences of accuracies, which have no percents."""
  if name.endswith("worst_step"):
    return phrases.signed(-value)
  return phrases.percent(value)


def by_run(groups: Sequence[Group]) -> Table:
  names = shown(groups)
  titles = all_titles(groups)
  rows = []
  for group in groups:
    for run, values in zip(group.runs, group.values, strict=True):
      seed = run.results["config"].get(SEED)
      rows.append(
        (
          Cell(run.name),
          Cell(group.name),
          Cell(phrases.NOTHING if seed is None else str(seed)),
          *(
            Cell(number(name, values[name]), values[name])
            if name in values
            else Cell(phrases.NOTHING)
            for name in names
          ),
        )
      )
  columns = ("run", "group", "seed", *(titles[name] for name in names))
  return filled("By run", columns, rows, {0, 1})


def by_share(groups: Sequence[Group], ladder: str) -> Table:
  """Accuracy by how much of the teacher's bytes is loaded."""
  rows = [
    (
      Cell(f"{100 * share:.0f} %", share),
      *(_mean(group, f"{ladder}.at_{100 * share:.0f}") for group in groups),
    )
    for share in compare.SHARES
  ]
  columns = ("loaded", *(heading(group) for group in groups))
  title = f"The {ladder} order, by the teacher's bytes that are loaded"
  return Table(title, columns, rows, frozenset())


def differences(groups: Sequence[Group]) -> Table | None:
  found = compare.differing(groups)
  rows = [
    (Cell(name), *(Cell(_value(value)) for value in values))
    for name, values in found.items()
  ]
  columns = ("field", *(group.name for group in groups))
  words = frozenset(range(len(columns)))
  return Table("What differs", columns, rows, words) if rows else None


def _value(value) -> str:
  if value is None:
    return phrases.NOTHING
  text = json.dumps(value, ensure_ascii=False)
  return text if len(text) <= 40 else f"{text[:18]} … {text[-18:]}"


def remarks(groups: Sequence[Group]) -> list[str]:
  """What a reader of the means has to know of the runs behind them."""
  found = []
  for group in groups:
    seeds = [run.results["config"].get(SEED) for run in group.runs]
    if len(set(map(str, seeds))) < len(seeds):
      found.append(
        f"Group {group.name} has runs with the same seed; its spread says "
        "less than that of different seeds."
      )
    for run in group.runs:
      if run.results["absent"]:
        names = phrases.listed(list(run.results["absent"]))
        found.append(f"{run.name} lacks {names}.")
  return found
