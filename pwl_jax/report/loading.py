"""Accuracy while the bytes of a swap network arrive, and over time."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pwl_jax.report import findings, phrases
from pwl_jax.report.axes import name_ends, name_line, percent_axis, size_axis
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.results import Results
from pwl_jax.report.theme import LIGHT

COLOR = {"planned": "swap", "prefix": "muted", "suffix": "other"}
LINE = {"planned": "-", "prefix": (0, (4, 2)), "suffix": (0, (1.5, 1.5))}
ALONE = "teacher alone answers from here"
LEFT, RIGHT, TOP, HEIGHT, BELOW = 52, 76, 30, 250, 44

# Where an order answers with which accuracy: (from, until, score).
Course = list[tuple[float, float, Mapping[str, Any]]]


def picture(results: Results) -> Picture | None:
  climbs = _distinct(findings.climbs(results))
  if not climbs:
    return None
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  panels = {"bytes loaded": _by_bytes(results, climbs)}
  timed = {n: c for n, c in climbs.items() if c.ladder.get("loaded_seconds")}
  if timed:
    panels["time"] = {n: _by_seconds(climb) for n, climb in timed.items()}
  alone = findings.networks_of(results, "bytes").get("teacher")
  first = findings.of_first_answer(results)
  return Picture(
    name="loading",
    title=first or "Accuracy while the teacher's units arrive",
    caption=f"Accuracy on {where} while bytes arrive: the student, then the "
    "converters and the teacher's units in some order, each in use once it is "
    "complete. The band is the 95 % interval of the "
    f"{next(iter(climbs))} order. The vertical line is where a teacher that is "
    "loaded alone gives its first answer."
    + _same_orders(findings.climbs(results), climbs),
    alt="Accuracy against bytes loaded"
    + (" and against time" if timed else "")
    + f", orders: {', '.join(climbs)}",
    height=lambda width: (
      (TOP + HEIGHT + BELOW) * (len(panels) if width < 600 else 1)
    ),
    draw=lambda canvas: _draw_loading(canvas, panels, alone),
  )


def _distinct(climbs) -> dict[str, findings.Climb]:
  """Orders that are alike are drawn once."""
  found: dict[str, findings.Climb] = {}
  for name, climb in climbs.items():
    orders = [other.ladder["order"] for other in found.values()]
    if climb.ladder["order"] not in orders:
      found[name] = climb
  return found


def _same_orders(climbs, distinct) -> str:
  found = []
  for other, drawn in distinct.items():
    names = [
      name
      for name, climb in climbs.items()
      if name != other and climb.ladder["order"] == drawn.ladder["order"]
    ]
    if names:
      verb = "is" if len(names) == 1 else "are"
      found.append(f"{phrases.listed(names)} {verb} the {other} order")
  return f" Here {', and '.join(found)}." if found else ""


def _by_bytes(results: Results, climbs) -> dict[str, Course]:
  """A rung answers once the student, converters and its units are there."""
  student = findings.networks_of(results, "bytes").get("student") or 0
  converters = sum(
    (unit.get("converter") or {}).get("bytes", 0) for unit in results["units"]
  )
  courses = {}
  for name, climb in climbs.items():
    loaded = climb.ladder["loaded_bytes"]
    starts = [student, *(student + converters + b for b in loaded[1:])]
    courses[name] = _course(starts, climb)
  return courses


def _by_seconds(climb: findings.Climb) -> Course:
  return _course(climb.ladder["loaded_seconds"], climb)


def _course(starts: Sequence[float], climb: findings.Climb) -> Course:
  """The last one goes on a little, to be seen."""
  end = starts[-1] + 0.04 * ((starts[-1] - starts[0]) or starts[-1] or 1)
  spans = itertools.pairwise([*starts, end])
  return [(a, b, s) for (a, b), s in zip(spans, climb.scores, strict=True)]


def _draw_loading(canvas: Canvas, panels, alone: float | None):
  count = 1 if canvas.is_narrow else len(panels)
  gap = RIGHT + LEFT
  width = (canvas.width - LEFT - RIGHT - gap * (count - 1)) / count
  for i, (what, courses) in enumerate(panels.items()):
    column, row = (0, i) if canvas.is_narrow else (i, 0)
    frame = (
      LEFT + column * (width + gap),
      TOP + row * (TOP + HEIGHT + BELOW),
      width,
      HEIGHT,
    )
    axes = canvas.axes(*frame)
    edges = [
      edge
      for course in courses.values()
      for *_, score in course
      for edge in score["interval"]
    ]
    percent_axis(axes, edges)
    axes.set_xlabel(what)
    bins = 3 if width < 400 else 7
    if what == "time":
      axes.xaxis.set_major_locator(MaxNLocator(nbins=bins))
      axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, place: phrases.seconds(x))
      )
    else:
      size_axis(axes, bins)
    _draw_courses(axes, courses, HEIGHT)
    axes.set_xlim(0, None)
    if alone and what != "time":
      name_line(axes, alone, ALONE, LIGHT["teacher"], (-LEFT, width + RIGHT))


def _draw_courses(axes: Axes, courses: Mapping[str, Course], height: float):
  """The first with its interval; names stand where the courses differ."""
  for rank, (name, course) in reversed(list(enumerate(courses.items()))):
    color = LIGHT[COLOR[name]]
    starts = [a for a, *_ in course] + [course[-1][1]]
    values = [score["top1"] for *_, score in course]
    if rank == 0:
      low, high = zip(*(s["interval"] for *_, s in course), strict=True)
      axes.fill_between(
        starts,
        [*low, low[-1]],
        [*high, high[-1]],
        step="post",
        color=color,
        alpha=0.14,
        linewidth=0,
      )
    axes.step(
      starts,
      [*values, values[-1]],
      where="post",
      color=color,
      linestyle=LINE[name],
      linewidth=2.6 if rank == 0 else 1.6,
    )
  _name_courses(axes, courses, height)


def _name_courses(axes: Axes, courses: Mapping[str, Course], height: float):
  """Beside the frame, ordered as the courses lie on average."""
  low, high = axes.get_ylim()
  wished = []
  for course in courses.values():
    whole = sum(b - a for a, b, _ in course) or 1
    mean = sum((b - a) * s["top1"] for a, b, s in course) / whole
    wished.append(height * (mean - low) / (high - low))
  ends = [
    (name, y, LIGHT[COLOR[name]])
    for name, y in zip(courses, wished, strict=True)
  ]
  name_ends(axes, ends, bold="planned")
