"""How accurate every composition is, within the memory that it takes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from pwl_jax.method import composition as compositions
from pwl_jax.report import findings, phrases
from pwl_jax.report.axes import percent_axis, size_axis, text_width
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.labels import Box, Segment, place
from pwl_jax.report.results import Results
from pwl_jax.report.theme import BEHIND_TEXT, LIGHT

LEFT, RIGHT, TOP, HEIGHT, BELOW = 52, 24, 20, 250, 44
LABEL = 13  # The height of one.

Sizes = Mapping[str, float]
Best = Sequence[tuple[float, str]]  # From these bytes on, this composition.


def picture(results: Results) -> Picture | None:
  """All compositions by what they hold, and the best for every memory."""
  scores = findings.shown_scores(results)
  sizes = {word: results["compositions"][word]["bytes"] for word in scores}
  best = [
    (step["bytes"], step["composition"])
    for step in results["budgets"]
    if step["composition"] in scores
  ]
  if len(scores) < 2 or not best:
    return None
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  return Picture(
    name="memory",
    title=_title(best, scores, sizes),
    caption=f"Accuracy on {where} against the bytes that a composition holds "
    "in memory, converters included. The line is the best composition for "
    "every memory, chosen by held-out examples."
    + _where_it_falls(best, scores),
    alt="Accuracy of all compositions against the bytes they hold",
    height=lambda width: TOP + HEIGHT + BELOW,
    draw=lambda canvas: _draw(canvas, scores, sizes, best),
  )


def _title(best: Best, scores: Mapping[str, Any], sizes: Sizes) -> str:
  """The composition to hold in half of what the whole teacher takes."""
  teacher = max(scores, key=findings.teacher_units)
  within = [word for size, word in best if size <= sizes[teacher] / 2]
  if compositions.STUDENT in teacher or not within:
    return f"{phrases.number_of(len(best), 'composition')} to choose by memory"
  word = within[-1]
  return (
    f"Within half of the teacher's memory, {word} answers "
    f"{phrases.percent(scores[word]['top1'])}"
  )


def _where_it_falls(best: Best, scores: Mapping[str, Any]) -> str:
  values = [scores[word]["top1"] for _, word in best]
  if not any(after < before for before, after in itertools.pairwise(values)):
    return ""
  return (
    " Where it falls, the held-out examples preferred a composition that the "
    "test examples do not."
  )


def _draw(
  canvas: Canvas, scores: Mapping[str, Any], sizes: Sizes, best: Best
) -> dict[str, str]:
  width = canvas.width - LEFT - RIGHT
  axes = canvas.axes(LEFT, TOP, width, HEIGHT)
  percent_axis(
    axes, [v for s in scores.values() for v in (s["top1"], *s["interval"])]
  )
  notes = {}
  chosen = {word for _, word in best}
  for word, score in scores.items():
    color = LIGHT["swap" if word in chosen else "muted"]
    axes.vlines(sizes[word], *score["interval"], color=color, alpha=0.25)
    axes.plot(
      [sizes[word]],
      [score["top1"]],
      "o",
      color=color,
      markersize=7 if word in chosen else 4.5,
      alpha=1 if word in chosen else 0.7,
      gid=f"memory-{word}",
    )
    notes[f"memory-{word}"] = (
      f"{word}: {phrases.percent(score['top1'])}, {phrases.size(sizes[word])}"
    )
  largest = max(sizes.values()) or 1
  starts = [size for size, _ in best] + [1.03 * largest]
  values = [scores[word]["top1"] for _, word in best]
  values.append(values[-1])
  axes.step(starts, values, where="post", color=LIGHT["swap"], linewidth=1.8)
  axes.set(xlim=(0, 1.05 * largest), xlabel="bytes in memory")
  size_axis(axes, 3 if canvas.is_narrow else 7)
  _name_best(axes, width, scores, sizes, best, (starts, values))
  return notes


def _name_best(axes: Axes, width: float, scores, sizes, best: Best, line):
  """Those for which there is room beside their points, and off the line."""
  (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

  def pixels(x: float, y: float) -> tuple[float, float]:
    return (
      width * (x - left) / (right - left),
      HEIGHT * (y - low) / (high - low),
    )

  corners = [pixels(*corner) for corner in zip(*line, strict=True)]
  drawn: list[Segment] = []
  for (x0, y0), (x1, y1) in itertools.pairwise(corners):
    drawn += [(x0, y0, x1, y0), (x1, y0, x1, y1)]
  points = [pixels(sizes[w], s["top1"]) for w, s in scores.items()]
  taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
  for size, word in best:
    x, y = pixels(size, scores[word]["top1"])
    box = place(
      (x, y),
      (1.1 * text_width(word), LABEL),
      lines=drawn,
      boxes=taken,
      within=(-LEFT, 0, width + RIGHT, HEIGHT + TOP),
    )
    if box is None:
      continue
    taken.append(box)
    axes.annotate(
      word,
      (0, 0),
      xycoords="axes fraction",
      xytext=(box[0], box[1] + 3),
      textcoords="offset points",
      color=LIGHT["swap"],
      weight="bold",
      bbox=BEHIND_TEXT,
    )
