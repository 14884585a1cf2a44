"""Groups of runs side by side: their networks, and accuracy while loading."""

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from pwl_jax.report import compare, compare_tables, findings, phrases
from pwl_jax.report.axes import percent_axis
from pwl_jax.report.compare import Group
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.theme import LIGHT

COLORS = ("swap", "kd", "teacher", "other", "plain", "ink")
LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)))
LEFT, RIGHT, TOP, GAP = 52, 30, 30, 14
HEIGHT, BELOW = 225, 50


def color_of(rank: int) -> str:
  return LIGHT[COLORS[rank % len(COLORS)]]


def networks(groups: Sequence[Group]) -> Picture | None:
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
    draw=lambda canvas: _draw_networks(canvas, groups, names),
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


def _draw_networks(canvas: Canvas, groups: Sequence[Group], names):
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


def loading(groups: Sequence[Group]) -> Picture | None:
  """Accuracy by the share of the teacher's bytes, a panel per order."""
  names = compare.ladders(groups)
  if not names:
    return None
  return Picture(
    name="loading",
    title="Accuracy by the share of the teacher's bytes that is loaded",
    caption="A thin line is a run, a thick one the mean of a group and the "
    "band its spread, by the byte. What answers changes when a unit is "
    "complete.",
    alt=f"Accuracy while loading, orders: {', '.join(names)}",
    height=lambda width: (
      (TOP + HEIGHT + BELOW) * (1 if width > 600 else len(names))
    ),
    draw=lambda canvas: _draw_loading(canvas, groups, names),
  )


def _draw_loading(canvas: Canvas, groups: Sequence[Group], names):
  count = 1 if canvas.is_narrow else len(names)
  width = (canvas.width - LEFT - RIGHT - GAP * (count - 1)) / count
  climbs = {
    (rank, name): [
      climb
      for run in group.runs
      if (climb := findings.climbs(run.results).get(name))
    ]
    for rank, group in enumerate(groups)
    for name in names
  }
  limits = [
    score["top1"]
    for found in climbs.values()
    for climb in found
    for score in climb.scores
  ]
  for i, name in enumerate(names):
    column, row = (0, i) if canvas.is_narrow else (i, 0)
    left, top = LEFT + column * (width + GAP), TOP
    axes = canvas.axes(left, top + row * (TOP + HEIGHT + BELOW), width, HEIGHT)
    percent_axis(axes, limits)
    axes.set(title=name, xlim=(-0.02, 1.06), xlabel="share loaded")
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(
      FuncFormatter(lambda x, _: f"{100 * x:.0f} %")
    )
    if column:
      axes.tick_params(labelleft=False)
    for rank, group in enumerate(groups):
      _draw_courses(axes, rank, group.name, climbs[rank, name])


def _draw_courses(axes: Axes, rank: int, name: str, climbs):
  """Means and spreads change wherever one of the runs changes."""
  if not climbs:
    return
  color, line = color_of(rank), LINES[rank % len(LINES)]
  shares = sorted(
    {b / c.ladder["loaded_bytes"][-1] for c in climbs
     for b in c.ladder["loaded_bytes"]}
  )  # fmt: skip
  shares.append(1.05)  # To see where it ends.
  courses = [[compare.at_share(c, s + 1e-12) for s in shares] for c in climbs]
  summaries = [compare.summarize(at) for at in zip(*courses, strict=True)]
  means = [found.mean for found in summaries]
  if len(climbs) > 1:
    spreads = [found.spread for found in summaries]
    axes.fill_between(
      shares,
      [m - s for m, s in zip(means, spreads, strict=True)],
      [m + s for m, s in zip(means, spreads, strict=True)],
      step="post",
      color=color,
      alpha=0.15,
      linewidth=0,
    )
    for course in courses:
      axes.step(shares, course, where="post", color=color, lw=0.8, alpha=0.4)
  axes.step(shares, means, where="post", color=color, lw=2.2, linestyle=line)
  # In the middle of the longest way without a change.
  widths = [after - before for before, after in itertools.pairwise(shares)]
  longest = widths.index(max(widths))
  axes.annotate(
    name,
    (shares[longest] + widths[longest] / 2, means[longest]),
    xytext=(0, 4),
    textcoords="offset points",
    ha="center",
    color=color,
    weight="bold",
  )
