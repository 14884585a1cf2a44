"""Axes of shares and of bytes, and labels that keep their distance."""

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pwl_jax.report import phrases


def percent_axis(axes: Axes, values: Sequence[float]):
  """Shows all values, with room around them, and never beyond 0 and 100 %."""
  low, high = min(values), max(values)
  room = max(0.08 * (high - low), 0.004)
  axes.set_ylim(max(-0.005, low - room), min(1.005, high + room))
  axes.yaxis.set_major_locator(
    MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
  )
  axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def size_axis(axes: Axes, bins: int):
  """Bytes along the lower edge."""
  axes.xaxis.set_major_locator(MaxNLocator(nbins=bins))
  axes.xaxis.set_major_formatter(
    FuncFormatter(lambda x, place: re.sub(r"\.0+ ", " ", phrases.size(x)))
  )


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
