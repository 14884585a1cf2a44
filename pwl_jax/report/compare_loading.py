"""Groups of runs side by side: accuracy while the teacher is loaded."""

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from pwl_jax.report import compare, findings
from pwl_jax.report.axes import percent_axis
from pwl_jax.report.compare import Group
from pwl_jax.report.compare_networks import (
  BELOW,
  HEIGHT,
  LEFT,
  RIGHT,
  TOP,
  color_of,
)
from pwl_jax.report.drawing import Canvas, Picture

GAP = 30  # Between 100 % and the next 0 %.
LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)))


def picture(groups: Sequence[Group]) -> Picture | None:
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
    draw=lambda canvas: _draw(canvas, groups, names),
  )


def _draw(canvas: Canvas, groups: Sequence[Group], names):
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
