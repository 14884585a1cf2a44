"""Latencies against time, on a logarithmic axis with round values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from pwl_jax.report import phrases
from pwl_jax.report.axes import name_ends
from pwl_jax.report.theme import LIGHT

MOST_TICKS = 4
TINY = 1e-6  # Seconds; no request is answered in less.


def draw(axes: Axes, bins: Sequence[Mapping[str, Any]], end: float):
  """Those of the bins until then."""
  parts = [part for part in bins if part["until"] <= end] or bins[:1]
  places = [(part["from"] + part["until"]) / 2 for part in parts]
  lines = (("p99_ms", "muted", 1.2), ("p50_ms", "ink", 1.8))
  values = {
    name: [max(part[name] / 1000, TINY) for part in parts] for name, *_ in lines
  }
  for name, color, width in lines:
    axes.plot(places, values[name], color=LIGHT[color], linewidth=width)
  axes.set_yscale("log")
  axes.yaxis.set_minor_locator(NullLocator())
  axes.yaxis.set_major_formatter(
    FuncFormatter(lambda x, place: phrases.seconds(x))
  )
  low, high, ticks = ticks_between(min(values["p50_ms"]), max(values["p99_ms"]))
  axes.set_ylim(low, high)
  axes.set_yticks(ticks)
  axes.set_ylabel("latency")
  names = [(n.removesuffix("_ms"), values[n][-1], c) for n, c, _ in lines]
  name_lines(axes, names[::-1])  # Where they are equal, p50 is the lower.


def ticks_between(
  least: float, most: float
) -> tuple[float, float, list[float]]:
  """Limits of a logarithmic axis around them, and two to four round values."""
  low, high = max(least, TINY) / 1.3, max(most, TINY) * 1.3
  powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  for steps in ((1, 2, 5), (1,)):
    ticks = [step * 10.0**power for power in powers for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) <= MOST_TICKS:
      break
  if len(inside) < 2:
    low = max(tick for tick in ticks if tick <= low)
    high = min(tick for tick in ticks if tick >= high)
    inside = [tick for tick in ticks if low <= tick <= high]
  return low, high, inside[:: -(-len(inside) // MOST_TICKS)]


def name_lines(axes: Axes, names: Sequence[tuple[str, float, str]]):
  """Beside the frame, where they end: (name, value, colour)."""
  heights = [
    axes.transAxes.inverted().transform(axes.transData.transform((0, value)))[1]
    * axes.get_window_extent().height
    for _, value, _ in names
  ]
  name_ends(
    axes,
    [
      (name, height, LIGHT[color])
      for (name, _, color), height in zip(names, heights, strict=True)
    ],
  )
