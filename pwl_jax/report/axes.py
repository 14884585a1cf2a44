"""Axes of shares and of bytes, and labels that keep their distance."""

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pwl_jax.report import phrases
from pwl_jax.report.theme import STYLE

TINY = 1e-9  # Roundings of ticks.
SIZES = FuncFormatter(
  lambda x, place: re.sub(r"\.0+ ", " ", phrases.size(round(x)))
)


def percent_axis(axes: Axes, values: Sequence[float]):
  """Shows all values whole, with room around them; counts from 0 to 100 %."""
  low, high = min(values), max(values)
  room = max(0.08 * (high - low), 0.004)
  middle, half = (low + high) / 2, (high - low) / 2 + room
  axes.set_ylim(middle - half, middle + half)
  locator = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
  ticks = locator.tick_values(middle - half, middle + half)
  axes.set_yticks(
    [t for t in ticks if -TINY <= t <= 1 + TINY and abs(t - middle) <= half]
  )
  axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def size_axis(axes: Axes, bins: int):
  """Bytes along the lower edge."""
  axes.xaxis.set_major_locator(MaxNLocator(nbins=bins))
  axes.xaxis.set_major_formatter(SIZES)


def name_line(
  axes: Axes, x: float, words: str, color: str, edges: tuple[float, float]
):
  """A line upwards, with words above the frame.

  `edges` are those of the canvas, in pixels from the left edge of the axes.
  """
  axes.axvline(x, color=color, linewidth=1.2)
  low, high = axes.get_xlim()
  width = axes.get_window_extent().width
  start = beside(width * (x - low) / (high - low), text_width(words), edges)
  axes.annotate(
    words,
    (0, 1),
    xycoords="axes fraction",
    xytext=(start, 6),
    textcoords="offset points",
    color=color,
  )


def name_ends(
  axes: Axes,
  names: Sequence[tuple[str, float, str]],
  *,
  gap: float = 16,
  inset: float = 8,
  bold: str = "",
):
  """Names of lines, behind the right edge and a gap apart.

  Each with the height above the lower edge where it would like to stand, and
  its colour; `bold` is one of them.
  """
  heights = apart([height for _, height, _ in names], gap)
  for (name, _, color), height in zip(names, heights, strict=True):
    axes.annotate(
      name,
      (1, 0),
      xycoords="axes fraction",
      xytext=(inset, height),
      textcoords="offset points",
      va="center",
      color=color,
      weight="bold" if name == bold else "normal",
      annotation_clip=False,
    )


def beside(x: float, length: float, edges: tuple[float, float]) -> float:
  """Where words of a length begin that end at x, or begin there.

  Where neither fits between the edges they are as near as they can be.
  """
  left, right = edges
  if x + 2 - length >= left:
    return x + 2 - length
  return max(left, min(x - 2, right - length))


def text_width(text: str) -> float:
  """In pixels, in the font of the pictures."""
  font = FontProperties(family=STYLE["font.family"])
  shape = TextPath((0, 0), text, size=STYLE["font.size"], prop=font)
  return shape.get_extents().width


def _percent(share: float, place: Any = None) -> str:
  return f"{100 * share:.4g} %"


def apart(wanted: Sequence[float], gap: float) -> list[float]:
  """The nearest places that keep their order and are a gap apart."""
  places = sorted(range(len(wanted)), key=lambda i: wanted[i])
  groups: list[list[float]] = []  # [sum of wished starts, members]
  for rank, i in enumerate(places):
    groups.append([wanted[i] - rank * gap, 1])
    while (
      len(groups) > 1
      and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]
    ):
      total, members = groups.pop()
      groups[-1][0] += total
      groups[-1][1] += members
  starts = [total / n for total, n in groups for _ in range(int(n))]
  found = [0.0] * len(wanted)
  for rank, i in enumerate(places):
    found[i] = starts[rank] + rank * gap
  return found
