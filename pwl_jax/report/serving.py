"""Accuracy and latency against time, from a bundle that was really served."""

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pwl_jax.report import latency, phrases, served
from pwl_jax.report.axes import beside, percent_axis, text_width
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.served import Served, first_answer, shown_accuracy
from pwl_jax.report.theme import BEHIND_TEXT, LIGHT

NAME = "play"
WHERE = {
  "test_accuracy": "measured on test {kind}",
  "valid_accuracy": "measured on held-out {kind}",
  "accuracy": "of the {kind} it was asked about",
}
ALONE = "teacher alone answers from here"
LEFT, RIGHT, TOP, HEIGHT, BETWEEN, LOWER, BELOW = 74, 76, 48, 230, 26, 90, 44
AXIS_NAME = 58  # From the frame: behind "97.25 %" and "0.05 ms".
LINE = 16  # Of text.
ENOUGH = 50  # Examples, for a share of them to be shown.
SHORTEST = 1e-3  # Seconds that the axis shows.
BEYOND = 1.25  # The axis goes on so far after the last thing that happened.


def picture(found: Served) -> Picture | None:
  """None where nothing was answered, or it is not known how well."""
  accuracy, kind = shown_accuracy(found), served.kind(found)
  if not found["bins"] or accuracy is None:
    return None
  slow = found["bandwidth"]
  each = phrases.number_of(found["batch"], kind.removesuffix("s"))
  storage = f"a storage of {phrases.size(slow)}/s" if slow else "this storage"
  return Picture(
    name=NAME,
    title=first_answer(found) or "",
    caption="Accuracy of what was served, "
    f"{WHERE[accuracy].format(kind=kind)}, while the teacher was loaded from "
    f"{storage}, with {found['caches']} caches of compiled programs on "
    f"{found['device']}. {_of_dots(found)}"
    f"Below, latencies of {found['requests_per_s']:g} requests a second, "
    f"{each} each, from when they were due.",
    alt="Accuracy and latency against time, while the bundle served "
    + phrases.listed([rung["composition"] for rung in found["rungs"]]),
    height=lambda width: TOP + HEIGHT + BETWEEN + LOWER + BELOW,
    draw=lambda canvas: _draw(canvas, found, accuracy),
  )


def _of_dots(found: Served) -> str:
  if found["bins"][0]["accuracy"] is None:
    return ""
  kind = served.kind(found)
  few = [
    rung["composition"]
    for rung in found["rungs"]
    if rung["requests"] * found["batch"] < ENOUGH
  ]
  without = f"; {phrases.listed(few)} had fewer" if few else ""
  return (
    f"Dots are the share of {found['data']} {kind} that the composition had "
    f"answered right so far, from {ENOUGH} {kind} on{without}. "
  )


def _draw(canvas: Canvas, found: Served, accuracy: str) -> Mapping[str, str]:
  width = canvas.width - LEFT - RIGHT
  upper = canvas.axes(LEFT, TOP, width, HEIGHT)
  lower = canvas.axes(LEFT, TOP + HEIGHT + BETWEEN, width, LOWER, sharex=upper)
  end = _end(found)
  upper.set_xlim(0, end)
  notes = _draw_accuracy(upper, found, accuracy, end)
  latency.draw(lower, found["bins"], end)
  lower.xaxis.set_major_locator(MaxNLocator(nbins=4 if width < 400 else 8))
  lower.xaxis.set_major_formatter(FuncFormatter(lambda x, place: f"{x:g}"))
  for axes in (upper, lower):
    axes.yaxis.set_label_coords(-AXIS_NAME / width, 0.5)
  lower.set_xlabel("seconds since the bundle was asked for")
  upper.tick_params(labelbottom=False)
  marks = [(found["first_answer_seconds"], "first answer", LIGHT["swap"])]
  if found["teacher_plainly"]:
    seconds = found["teacher_plainly"]["seconds"]
    marks.append((seconds, ALONE, LIGHT["teacher"]))
  for row, (seconds, words, color) in enumerate(marks):
    for axes in (upper, lower):
      axes.axvline(seconds, color=color, linewidth=1.2)
    edges = (-LEFT, width + RIGHT)
    start = beside(width * seconds / end, text_width(words), edges)
    upper.annotate(
      words,
      (0, 1),
      xycoords="axes fraction",
      xytext=(start, 6 + row * LINE),
      textcoords="offset points",
      color=color,
    )
  return notes


def _end(found: Served) -> float:
  """Of the axis: nothing happens for long when all is loaded."""
  alone = found["teacher_plainly"] or {"seconds": 0.0}
  last = max(
    SHORTEST,
    alone["seconds"],
    found["first_answer_seconds"],
    found["rungs"][-1]["seconds"],
  )
  whole = max(found["seconds"], last)
  return BEYOND * last if BEYOND * last < whole or alone["seconds"] else whole


def _draw_accuracy(
  axes: Axes, found: Served, accuracy: str, end: float
) -> Mapping[str, str]:
  rungs = found["rungs"]
  values = [rung[accuracy] for rung in rungs]
  # Who is asked first waits until the model is open, and is answered then.
  starts = [found["first_answer_seconds"]]
  starts += [rung["seconds"] for rung in rungs[1:]]
  dots = [(x, y) for x, y, count in _so_far(found) if count >= ENOUGH]
  dots = [(x, y) for x, y in dots if x <= end]
  percent_axis(axes, values + [y for _, y in dots])
  axes.step(
    [*starts, max(end, starts[-1])],
    [*values, values[-1]],
    where="post",
    color=LIGHT["swap"],
    linewidth=2.6,
  )
  axes.plot(
    *([x for x, _ in dots], [y for _, y in dots]),
    linestyle="",
    marker="o",
    markersize=3.2,
    color=LIGHT["muted"],
    alpha=0.7,
    clip_on=False,
  )
  names = [("measured", values[-1], "swap")]
  names += [("stream", dots[-1][1], "muted")] if dots else []
  latency.name_lines(axes, names)
  axes.set_ylabel("right")
  notes = {}
  for i, (x, y, rung) in enumerate(zip(starts, values, rungs, strict=True)):
    (dot,) = axes.plot(
      [x], [y], marker="o", color=LIGHT["swap"], markersize=6, clip_on=False
    )
    dot.set_gid(f"rung{i}")
    answers = phrases.number_of(rung["requests"], "answer")
    notes[f"rung{i}"] = (
      f"{rung['composition']}: {phrases.percent(y)} from "
      f"{phrases.seconds(x)} on, {answers}"
    )
  words = [rung["composition"] for rung in rungs]
  _name_rungs(axes, starts, values, words, end)
  return notes


def _so_far(found: Served) -> Iterator[tuple[float, float, int]]:
  """When, what share of its examples a composition had right by then, of how
  many."""
  right: dict[str, float] = {}
  asked: dict[str, int] = {}
  for part in found["bins"]:
    if part["accuracy"] is None:
      continue
    word, count = part["composition"], part["requests"] * found["batch"]
    right[word] = right.get(word, 0.0) + part["accuracy"] * count
    asked[word] = asked.get(word, 0) + count
    yield part["until"], min(1.0, right[word] / asked[word]), asked[word]


def _name_rungs(
  axes: Axes,
  starts: Sequence[float],
  values: Sequence[float],
  words: Sequence[str],
  end: float,
):
  """Under the steps; of names that have no room the later ones count."""
  width, height = axes.get_window_extent().size
  low, high = axes.get_ylim()
  taken: list[tuple[float, float, float]] = []  # Left, right, height.
  for x, y, word in reversed(list(zip(starts, values, words, strict=True))):
    place, level = width * x / end, height * (y - low) / (high - low)
    length = text_width(word)
    left = place + 5 if place + 5 + length <= width else place - 5 - length
    if left < 0 or any(
      left < other_right + 6
      and other_left < left + length + 6
      and abs(level - other) < LINE
      for other_left, other_right, other in taken
    ):
      continue
    taken.append((left, left + length, level))
    axes.annotate(
      word,
      (0, y),
      xycoords=("axes points", "data"),
      xytext=(left, -13),
      textcoords=("axes points", "offset points"),
      color=LIGHT["swap"],
      bbox=BEHIND_TEXT,
      zorder=5,
    )
