"""The lattice of compositions: a column per number of teacher units.

Neighbours differ in one unit. Every way from left to right is a ladder; the
planned one is thick.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter

from pwl_jax.method import composition as compositions
from pwl_jax.report import findings, phrases
from pwl_jax.report.drawing import NARROW, WIDE, Canvas, Picture
from pwl_jax.report.lattice_nodes import (
  MOST_WITH_NUMBER,
  MOST_WITH_WORD,
  Places,
  draw_nodes,
)
from pwl_jax.report.results import Results
from pwl_jax.report.theme import BEHIND_TEXT, LIGHT

TOP, BOTTOM, LEFT, RIGHT = 52, 44, 16, 16
STRIPES = 48  # Of the scale of colours.


def picture(results: Results) -> Picture | None:
  scores = findings.shown_scores(results)
  if len(scores) < 2:
    return None
  climb = findings.main_climb(results)
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  n = len(next(iter(scores)))
  word = {True: "Every composition", False: "Every composition that was"}
  caption = (
    f"{word[len(scores) == 2**n]} measured, by the number of its teacher units "
    f"and coloured by its accuracy on {where}; lines join those that differ in "
    "one unit. Dashed lines lose accuracy from left to right. "
  )
  if climb:
    caption += (
      f"The thick line through the framed ones is the {climb.name} order; "
      "where it loses accuracy it is red, with the loss in points. "
    )
  caption += "Point at a composition for its numbers."
  return Picture(
    name="lattice",
    title=findings.of_lattice(scores),
    caption=caption,
    alt=f"Lattice of {len(scores)} compositions coloured by accuracy",
    height=lambda width: TOP + BOTTOM + _tallest(scores) * _pitch(n),
    draw=lambda canvas: _draw(canvas, scores, climb),
    min_width=_min_width(n),
  )


def _min_width(n: int) -> int:
  """Where the text of all columns can be read."""
  return max(NARROW, 108 * (n + 1)) if n <= MOST_WITH_NUMBER else WIDE


def _tallest(scores: Mapping[str, Any]) -> int:
  columns = [findings.teacher_units(word) for word in scores]
  return max(3, *(columns.count(k) for k in columns))


def _pitch(n: int) -> int:
  """Pixels from one composition to the next in a column."""
  if n <= 3:
    return 64
  return 46 if n <= MOST_WITH_NUMBER else 21 if n <= MOST_WITH_WORD else 17


def _draw(canvas: Canvas, scores, climb) -> dict[str, str]:
  n = len(next(iter(scores)))
  width, height = canvas.width - LEFT - RIGHT, canvas.height - TOP - BOTTOM
  axes = canvas.axes(LEFT, TOP, width, height)
  axes.set(xlim=(0, width), ylim=(height, 0))
  axes.axis("off")
  places = _places(scores, width, height)
  values = [score["top1"] for score in scores.values()]
  room = 0.005 if max(values) == min(values) else 0.0
  colors = ScalarMappable(
    Normalize(min(values) - room, max(values) + room),
    matplotlib.colormaps["viridis"],
  )
  _draw_edges(axes, scores, places)
  if climb:
    _draw_climb(axes, climb, places)
  rungs = climb.ladder["rungs"] if climb else ()
  notes = draw_nodes(axes, scores, places, colors, rungs)
  for k in range(n + 1):
    x = _column(k, n, width)
    text = f"{k} of {n}" if k in (0, n) else f"{k}"
    axes.text(x, height + 22, text, ha="center", color=LIGHT["muted"])
  axes.text(
    width / 2, height + 40, "teacher units", ha="center", color=LIGHT["muted"]
  )
  _draw_scale(canvas, colors)
  return notes


def _places(scores: Mapping[str, Any], width: float, height: float) -> Places:
  """Prefixes lie on top, suffixes at the bottom of every column."""
  n = len(next(iter(scores)))
  places = {}
  for k in range(n + 1):
    words = [word for word in scores if findings.teacher_units(word) == k]
    step = min(_pitch(n) * 1.6, height / max(1, len(words)))
    for i, word in enumerate(sorted(words, key=findings.order_of)):
      y = height / 2 + (i - (len(words) - 1) / 2) * step
      places[word] = (_column(k, n, width), y)
  return places


def _column(k: int, n: int, width: float) -> float:
  half = 46
  return half + k * (width - 2 * half) / n


def _draw_edges(axes: Axes, scores: Mapping[str, Any], places: Places):
  up, down = [], []
  for word in scores:
    for i, letter in enumerate(word):
      above = word[:i] + compositions.TEACHER + word[i + 1 :]
      if letter == compositions.STUDENT and above in scores:
        is_down = scores[above]["top1"] < scores[word]["top1"]
        (down if is_down else up).append([places[word], places[above]])
  faint = 0.35 if len(up) + len(down) > 100 else 0.7
  for lines, style in ((up, "solid"), (down, (0, (3, 3)))):
    axes.add_collection(
      LineCollection(
        lines,
        colors=LIGHT["muted"],
        linewidths=0.8,
        linestyles=[style],
        alpha=faint,
      )
    )


def _draw_climb(axes: Axes, climb: findings.Climb, places: Places):
  rungs = climb.ladder["rungs"]
  for k, step in enumerate(climb.steps):
    (x0, y0), (x1, y1) = places[rungs[k]], places[rungs[k + 1]]
    color = LIGHT["down" if step < 0 else "swap"]
    axes.plot([x0, x1], [y0, y1], color=color, linewidth=3.5)
    if step < 0:
      # Nearer to where it leads: there the lines lie apart.
      x, y = x0 + 0.55 * (x1 - x0), y0 + 0.55 * (y1 - y0)
      label = phrases.signed(step)
      axes.text(
        x,
        y - 9,
        label,
        ha="center",
        va="center",
        color=color,
        weight="bold",
        zorder=6,
        bbox=BEHIND_TEXT,
      )


def _draw_scale(canvas: Canvas, colors: ScalarMappable):
  """Stripes, since an image would not be part of the drawing."""
  low, high = colors.norm.vmin, colors.norm.vmax
  stripe = (high - low) / STRIPES
  starts = [low + i * stripe for i in range(STRIPES)]
  bar = canvas.axes(LEFT + 12, 12, 180, 9)
  bar.broken_barh(
    # A little wider, so that nothing shows between them.
    [(start, 1.2 * stripe) for start in starts],
    (0, 1),
    facecolors=[colors.to_rgba(start + stripe / 2) for start in starts],
  )
  bar.set(xlim=(low, high), ylim=(0, 1), yticks=[])
  bar.grid(visible=False)
  bar.spines["bottom"].set_visible(False)
  bar.set_xticks([low, (low + high) / 2, high])
  bar.xaxis.set_major_formatter(
    FuncFormatter(lambda share, place: f"{100 * share:.1f} %")
  )
  bar.tick_params(size=0, pad=4)
