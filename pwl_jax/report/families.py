"""Accuracy along the orders of loading, beside that of the networks alone."""

import itertools
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pwl_jax.report import findings, phrases
from pwl_jax.report.axes import percent_axis
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.results import Results
from pwl_jax.report.theme import LIGHT, OF_NETWORK

LINE = {"student_plain": ":", "student_kd": "--", "teacher": "-"}
TOP, LEFT, GAP, RIGHT = 30, 52, 14, 8
HEIGHT, BELOW = 225, 54

Points = dict[float, list[Mapping[str, Any]]]  # teacher units -> scores


def picture(results: Results) -> Picture | None:
  networks = {
    name: findings.score_of(results, results["networks"][name])
    for name in findings.network_names(results)
  }
  panels = _panels(results)
  if not networks and not panels:
    return None
  has_intervals = all(s["interval"] for s in networks.values())
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  return Picture(
    name="families",
    title=_title(results, networks),
    caption=f"Accuracy on {where}"
    + (", with 95 % intervals" if has_intervals else "")
    + ". The horizontal lines continue the networks on the left: teacher "
    "(solid), student with plain distillation (dashed), student on its own "
    "(dotted), as far as they are there."
    + (
      " From left to right in each of the others, the teacher's units arrive; "
      "contiguous has every single run of teacher units."
      if panels
      else ""
    ),
    alt="Accuracy of "
    + ", ".join(["the networks", *(f"the {name} order" for name in panels)]),
    height=lambda width: _height(width, 1 + len(panels)),
    draw=lambda canvas: _draw(canvas, networks, panels),
  )


def _title(results: Results, networks: Mapping[str, Any]) -> str:
  climb = findings.main_climb(results)
  if climb:
    return f"In the {climb.name} order accuracy {findings.of_climb(climb)}"
  best = max(networks, key=lambda name: networks[name]["top1"])
  value = phrases.percent(networks[best]["top1"])
  return f"Most accurate is the {phrases.NAMES[best]}, {value}"


def _panels(results: Results) -> dict[str, Points]:
  """The planned ladder, and the families whose members were measured."""
  scores = findings.shown_scores(results)
  climbs = findings.climbs(results)
  words = {name: climb.ladder["rungs"] for name, climb in climbs.items()}
  words |= {
    name: [word for word in members if word in scores]
    for name, members in results["families"].items()
  }
  panels: dict[str, Points] = {}
  for name, members in words.items():
    points: Points = {}
    for word in members:
      k = findings.teacher_units(word)
      points.setdefault(k, []).append(scores[word])
    if len(points) > 1:
      panels[name] = points
  return panels


def _height(width: int, panels: int) -> int:
  rows = 1 if width > 600 else -(-panels // 2)
  return rows * (TOP + HEIGHT + BELOW)


def _draw(canvas: Canvas, networks, panels: Mapping[str, Points]):
  groups = [group for points in panels.values() for group in points.values()]
  shown = [*networks.values(), *itertools.chain(*groups)]
  limits = [
    value for s in shown for value in (s["interval"] or (s["top1"], s["top1"]))
  ]
  frames = _frames(canvas, 1 + len(panels))
  for i, (frame, name) in enumerate(
    zip(frames, ["networks", *panels], strict=True)
  ):
    axes = canvas.axes(*frame)
    percent_axis(axes, limits)
    axes.set_title(name)
    axes.grid(axis="x", visible=False)
    if frame[0] > LEFT:
      axes.tick_params(labelleft=False)
    for network, style in LINE.items():
      if network in networks:
        axes.axhline(
          networks[network]["top1"],
          color=LIGHT[OF_NETWORK[network]],
          linestyle=style,
          linewidth=1.1,
          alpha=0.8,
        )
    if i == 0:
      _draw_networks(axes, networks, frame[2])
    else:
      _draw_family(axes, panels[name], frame[2])


def _frames(canvas: Canvas, panels: int) -> list[tuple[float, ...]]:
  per_row = min(panels, 2) if canvas.is_narrow else panels
  width = (canvas.width - LEFT - RIGHT - GAP * (per_row - 1)) / per_row
  return [
    (
      LEFT + (i % per_row) * (width + GAP),
      TOP + (i // per_row) * (TOP + HEIGHT + BELOW),
      width,
      HEIGHT,
    )
    for i in range(panels)
  ]


def _draw_networks(axes: Axes, networks: Mapping[str, Any], width: float):
  for x, (name, score) in enumerate(networks.items()):
    _point(axes, x, score, LIGHT[OF_NETWORK[name]], size=6)
  axes.set_xlim(-0.6, max(len(networks), 1) - 0.4)
  if width > 180 * len(networks):
    names = [phrases.NAMES[name] for name in networks]
    axes.set_xticks(range(len(names)), names)
  else:
    names = [OF_NETWORK[name] for name in networks]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")


def _draw_family(axes: Axes, points: Points, width: float):
  """One point a rung is joined; several are set side by side."""
  most = max(map(len, points.values()))
  last = max(points)
  size = 5.5 if most == 1 and last < 10 else 3.5
  color = LIGHT["swap"]
  if most == 1:
    places = sorted(points)
    values = [points[k][0]["top1"] for k in places]
    axes.plot(places, values, color=color, linewidth=1.6)
  for k, scores in points.items():
    for i, score in enumerate(scores):
      beside = (i - (len(scores) - 1) / 2) * 0.8 / most
      _point(axes, k + beside, score, color, size=size, faint=most > 4)
  axes.set_xlim(-0.5, last + 0.5)
  axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
  axes.set_xlabel("teacher units")


def _point(
  axes: Axes, x: float, score: Mapping[str, Any], color, *, size, faint=False
):
  if score["interval"]:
    style = dict(linewidth=1, alpha=0.3) if faint else dict(alpha=0.55)
    axes.vlines(x, *score["interval"], color=color, **style)
  axes.plot([x], [score["top1"]], "o", color=color, markersize=size)
