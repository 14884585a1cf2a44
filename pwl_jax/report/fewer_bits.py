"""Accuracy against the bytes that were read, for every precision."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from pwl_jax.report import phrases, precisions
from pwl_jax.report.axes import SIZES, name_ends, percent_axis
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.precisions import Compared
from pwl_jax.report.theme import LIGHT

NAME = "fewer_bits"
LEFT, RIGHT, TOP, HEIGHT, BELOW = 52, 112, 44, 250, 44
COLORS = ("muted", "plain", "teacher", "kd", "swap", "other")
DASHES = ("-", (0, (4, 2)), (0, (1.5, 1.5)))  # Of more than there are colours.


def picture(found: Compared) -> Picture:
  names = [name for name, _ in precisions.courses(found)]
  where = "test" if precisions.split_of(found) == "test" else "held-out"
  return Picture(
    name=NAME,
    title=_title(found),
    caption=f"Accuracy on {where} examples against the bytes of weights that "
    "were read, on the best ladder of every precision. With two of them a "
    "unit of the teacher comes coarse first, and exactly later.",
    alt=f"Accuracy against bytes read in {', '.join(names)}",
    height=lambda width: TOP + HEIGHT + BELOW,
    draw=lambda canvas: _draw(canvas, found),
  )


def _title(found: Compared) -> str:
  """How few bytes are enough, beside those of the first row."""
  sizes = {}
  for row in found["rows"]:
    rung = precisions.as_good_from(found, row)
    if rung is not None:
      sizes[row["precision"]] = row["rungs"][rung]["read_bytes"]
  if not sizes:
    return "Accuracy against bytes, for every precision"
  best = min(sizes, key=lambda name: sizes[name])
  first = next(iter(sizes))
  text = f"{best} is as good as the teacher after {phrases.size(sizes[best])}"
  if first != best:
    text += f", {first} after {phrases.size(sizes[first])}"
  return text


def _draw(canvas: Canvas, found: Compared) -> dict[str, str]:
  axes = canvas.axes(LEFT, TOP, canvas.width - LEFT - RIGHT, HEIGHT)
  courses = dict(precisions.courses(found))
  percent_axis(
    axes, [value for course in courses.values() for _, value, _ in course]
  )
  sizes = [max(1, size) for course in courses.values() for size, *_ in course]
  axes.set_xscale("log")
  axes.set_xlim(min(sizes) / 1.15, 1.3 * max(sizes))
  axes.set_xlabel("bytes read")
  axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
  axes.xaxis.set_major_formatter(SIZES)
  axes.xaxis.set_minor_formatter(NullFormatter())
  notes, ends = {}, []
  low, high = axes.get_ylim()
  for k, (name, course) in enumerate(courses.items()):
    color = LIGHT[COLORS[k % len(COLORS)]]
    notes |= _draw_course(axes, k, name, course, color)
    height = HEIGHT * (course[-1][1] - low) / (high - low)
    ends.append((name, height, color))
  name_ends(axes, ends)
  return notes


def _draw_course(
  axes: Axes, k: int, name: str, course, color: str
) -> dict[str, str]:
  notes = {}
  starts = [max(1, size) for size, *_ in course]
  values = [value for _, value, _ in course]
  axes.step(
    [*starts, axes.get_xlim()[1]],
    [*values, values[-1]],
    where="post",
    color=color,
    linestyle=DASHES[k // len(COLORS) % len(DASHES)],
    linewidth=max(1.2, 4.2 - 0.6 * k),  # Below others it is seen around them.
  )
  for i, (size, value, word) in enumerate(course):
    gid = f"bits{k}-{i}"
    (dot,) = axes.plot([max(1, size)], [value], "o", color=color, markersize=5)
    dot.set_gid(gid)
    notes[gid] = (
      f"{name}: {word} answers {phrases.percent(value)} right from "
      f"{phrases.size(size)} on"
    )
  return notes
