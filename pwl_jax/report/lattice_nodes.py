"""The nodes of a lattice: a box that says which composition it is, or a dot."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patches import FancyBboxPatch

from pwl_jax.report import phrases
from pwl_jax.report.theme import LIGHT

MOST_WITH_NUMBER, MOST_WITH_WORD = 5, 7  # Units; beyond, dots.

Places = dict[str, tuple[float, float]]  # composition -> pixels


def draw_nodes(
  axes: Axes,
  scores: Mapping[str, Any],
  places: Places,
  colors: ScalarMappable,
  rungs: Sequence[str],
) -> dict[str, str]:
  n = len(next(iter(scores)))
  notes = {}
  for word, score in scores.items():
    x, y = places[word]
    rgb = colors.to_rgba(score["top1"])
    half_width, half_height = _half_size(n)
    gid = f"node-{word}"
    axes.add_patch(
      FancyBboxPatch(
        (x - half_width, y - half_height),
        2 * half_width,
        2 * half_height,
        boxstyle=f"round,pad=0,rounding_size={min(7, half_height)}",
        facecolor=rgb,
        edgecolor=LIGHT["ink" if word in rungs else "panel"],
        linewidth=2.2 if word in rungs else 1.2,
        zorder=4,
        gid=gid,
      )
    )
    notes[gid] = (
      f"{word}: {phrases.percent(score['top1'])}, "
      f"95 % interval {phrases.interval(score)}"
    )
    if n <= MOST_WITH_WORD:
      _label(axes, word, score, (x, y), _on(rgb))
  return notes


def _half_size(n: int) -> tuple[float, float]:
  if n <= MOST_WITH_NUMBER:
    return (34, 18)
  return (31, 8.5) if n <= MOST_WITH_WORD else (6, 6)


def _label(axes: Axes, word, score, place, color):
  x, y = place
  style = dict(ha="center", va="center", color=color, zorder=5)
  if len(word) <= MOST_WITH_NUMBER:
    axes.text(x, y - 7.5, word, weight="bold", size=10.5, **style)
    number = phrases.percent(score["top1"])
    axes.text(x, y + 7.5, number, size=10, **style)
  else:
    axes.text(x, y, word, size=9.5, **style)


def _on(rgb: tuple[float, ...]) -> str:
  """Black or white, whichever stands out: by relative luminance."""
  linear = [
    c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb[:3]
  ]
  luminance = sum(
    w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
  )
  return "#000000" if luminance > 0.179 else "#ffffff"
