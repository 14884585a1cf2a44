"""Recipes along the orders of loading: means over seeds, and their range."""

import itertools
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from pwl_jax.method import composition as compositions
from pwl_jax.report.axes import percent_axis, text_width
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.families import LINE
from pwl_jax.report.theme import LIGHT, OF_NETWORK

LEFT, RIGHT, TOP, BELOW, GAP, HEIGHT = 52, 8, 58, 50, 14, 270
LEGEND, APART = 16, 24  # Pixels from the upper edge, and between the names.
# Those of the students without a swap network are left to them.
COLORS = ("swap", "teacher", "other", "down", "ink", "muted")
MARKS = {"student_plain": "┈ student alone", "student_kd": "╌ distilled"}

Shares = Mapping[str, Sequence[float]]  # network -> of right answers, by seed


def picture(
  found: Mapping[str, Mapping[str, Sequence[float]]], examples: str
) -> Picture:
  """Of accuracies in %: recipe -> network -> of every seed."""
  shares = {
    recipe: {
      network: [value / 100 for value in values]
      for network, values in networks.items()
    }
    for recipe, networks in found.items()
  }
  return Picture(
    name="recipes",
    title="Recipes along the orders of loading",
    caption=f"Accuracy on {examples} examples",
    alt="Accuracy of every composition, by recipe",
    height=lambda width: TOP + HEIGHT + BELOW,
    draw=lambda canvas: _draw(canvas, shares),
  )


def families(num_units: int) -> dict[str, list[str]]:
  known = {name: of(num_units) for name, of in compositions.FAMILIES.items()}
  return known | {"all compositions": compositions.every(num_units)}


def _draw(canvas: Canvas, found: Mapping[str, Shares]):
  networks = next(iter(found.values()))
  num_units = len([*networks][-1])
  panels = families(num_units)
  every = [
    share
    for known in found.values()
    for share in itertools.chain(*known.values())
  ]
  width = (canvas.width - LEFT - RIGHT + GAP) / len(panels) - GAP
  for i, (name, words) in enumerate(panels.items()):
    axes = canvas.axes(LEFT + i * (width + GAP), TOP, width, HEIGHT)
    percent_axis(axes, every)
    axes.set_title(name)
    axes.grid(axis="x", visible=False)
    axes.tick_params(labelleft=i == 0)
    axes.set_xlim(-0.5, num_units + 0.5)
    axes.set_xticks(range(num_units + 1))
    axes.set_xlabel("teacher units")
    _draw_students(axes, networks)
    for rank, known in enumerate(found.values()):
      beside = (rank - (len(found) - 1) / 2) * 0.6 / len(found)
      _draw_family(axes, words, known, color_of(rank), beside)
  _name(canvas, found, networks)


def color_of(rank: int) -> str:
  return LIGHT[COLORS[rank % len(COLORS)]]


def _draw_students(axes: Axes, networks: Shares):
  """The ones without a swap network, where they were trained."""
  for name in MARKS:
    if name in networks:
      axes.axhline(
        statistics.mean(networks[name]),
        color=LIGHT[OF_NETWORK[name]],
        linestyle=LINE[name],
        linewidth=1.1,
      )


def _draw_family(
  axes: Axes, words: Sequence[str], known: Shares, color: str, beside: float
):
  """Joined where there is one composition for each number of teacher units."""
  places = [word.count(compositions.TEACHER) + beside for word in words]
  means = [statistics.mean(known[word]) for word in words]
  lows = [min(known[word]) for word in words]
  highs = [max(known[word]) for word in words]
  axes.vlines(places, lows, highs, color=color, alpha=0.55)
  joined = "-" if len({*places}) == len(places) else ""
  axes.plot(
    places, means, f"o{joined}", color=color, markersize=4.5, linewidth=1.4
  )


def _name(canvas: Canvas, found: Mapping[str, Shares], networks: Shares):
  """In a line above the panels."""
  names = [(f"● {name}", color_of(i)) for i, name in enumerate(found)]
  names += [
    (mark, LIGHT[OF_NETWORK[name]])
    for name, mark in MARKS.items()
    if name in networks
  ]
  x = LEFT
  for words, color in names:
    canvas.figure.text(
      x / canvas.width,
      1 - LEGEND / canvas.height,
      words,
      color=color,
      va="center",
    )
    x += text_width(words) + APART
