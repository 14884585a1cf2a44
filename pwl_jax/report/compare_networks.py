"""Groups of runs side by side: a panel per accuracy, a column per group."""

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes

from pwl_jax.report import compare_tables, phrases
from pwl_jax.report.axes import percent_axis
from pwl_jax.report.compare import Group
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.theme import LIGHT

COLORS = ("swap", "kd", "teacher", "other", "plain", "ink")
LEFT, RIGHT, TOP, GAP = 52, 30, 30, 14
HEIGHT, BELOW = 225, 50


def color_of(rank: int) -> str:
  return LIGHT[COLORS[rank % len(COLORS)]]


def picture(groups: Sequence[Group]) -> Picture | None:
  """A panel per quantity that is an accuracy, a column per group."""
  names = [
    name
    for name in compare_tables.shown(groups)
    if not name.endswith("worst_step")
  ]
  if not names:
    return None
  return Picture(
    name="quantities",
    title=_title(groups, names),
    caption="Every small dot is a run, the large one the mean of a group, the "
    "bar its spread (sample standard deviation); a group of one run has none.",
    alt="Accuracies of the groups, run by run and as means",
    height=lambda width: (
      (TOP + HEIGHT + BELOW) * -(-len(names) // _per_row(width, len(names)))
    ),
    draw=lambda canvas: _draw(canvas, groups, names),
  )


def _title(groups: Sequence[Group], names: Sequence[str]) -> str:
  """The largest difference of means, if there are two groups or more."""
  titles = compare_tables.all_titles(groups)
  if len(groups) == 1:
    name = names[-1]
    found = groups[0].summary(name)
    spread = "" if found.spread is None else f" ± {100 * found.spread:.2f}"
    return f"{titles[name]}: {phrases.percent(found.mean)}{spread}"
  widest, name = 0.0, names[0]
  for candidate in names:
    means = [s.mean for g in groups if (s := g.summary(candidate))]
    if max(means) - min(means) > widest:
      widest, name = max(means) - min(means), candidate
  if not widest:
    return "The means of the groups do not differ"
  return f"The means differ most in “{titles[name]}”: {phrases.points(widest)}"


def _per_row(width: int, count: int) -> int:
  """As many as there is room for, and rows of one length where they can be."""
  rows = -(-count // (4 if width > 600 else 2))
  return -(-count // rows)


def _draw(canvas: Canvas, groups: Sequence[Group], names):
  per_row = _per_row(canvas.width, len(names))
  width = (canvas.width - LEFT - RIGHT - GAP * (per_row - 1)) / per_row
  limits = list(_edges(groups, names))
  titles = compare_tables.all_titles(groups)
  for i, name in enumerate(names):
    column, row = i % per_row, i // per_row
    left, top = LEFT + column * (width + GAP), TOP
    axes = canvas.axes(left, top + row * (TOP + HEIGHT + BELOW), width, HEIGHT)
    percent_axis(axes, limits)
    axes.grid(axis="x", visible=False)
    axes.set_title(_broken(titles[name]), size=10.5)
    if column:
      axes.tick_params(labelleft=False)
    for rank, group in enumerate(groups):
      _draw_group(axes, rank, group, name)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    if len(groups) <= 12:
      axes.set_xticks(range(len(groups)), [group.name for group in groups])


def _broken(title: str) -> str:
  """On two lines where it is long."""
  first, _, rest = title.partition(", ")
  if rest:
    return f"{first},\n{rest}"
  return title.replace(" of the ", "\nof the ")


def _edges(groups, names):
  for group, name in itertools.product(groups, names):
    found = group.summary(name)
    if found:
      spread = found.spread or 0.0
      yield from (found.mean - spread, found.mean + spread)
      yield from (v[name] for v in group.values if name in v)


def _draw_group(axes: Axes, rank: int, group: Group, name: str):
  found, color = group.summary(name), color_of(rank)
  if not found:
    return
  values = [v[name] for v in group.values if name in v]
  if found.spread is not None:
    edges = (found.mean - found.spread, found.mean + found.spread)
    axes.vlines(rank, *edges, color=color, linewidth=2)
    for i, value in enumerate(values):
      beside = 0.12 + 0.16 * i / len(values)
      axes.plot([rank + beside], [value], "o", color=color, ms=3.5, alpha=0.6)
  axes.plot([rank], [found.mean], "o", color=color, markersize=7)
