"""How accurate every composition is, within the memory that it takes."""

from matplotlib.axes import Axes

from pwl_jax.report import findings, phrases
from pwl_jax.report.axes import percent_axis, size_axis
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.results import Results
from pwl_jax.report.theme import BEHIND_TEXT, LIGHT

LEFT, RIGHT, TOP, HEIGHT, BELOW = 52, 24, 20, 250, 44


def picture(results: Results) -> Picture | None:
  """All compositions by what they hold, and the best for every memory."""
  scores = findings.shown_scores(results)
  if len(scores) < 2 or not results["budgets"]:
    return None
  sizes = {word: results["compositions"][word]["bytes"] for word in scores}
  best = [
    (step["bytes"], step["composition"])
    for step in results["budgets"]
    if step["composition"] in scores
  ]
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  return Picture(
    name="memory",
    title=_title(best, scores, sizes),
    caption=f"Accuracy on {where} against the bytes that a composition holds "
    "in memory, converters included. The line is the best composition for "
    "every memory, chosen by held-out images.",
    alt="Accuracy of all compositions against the bytes they hold",
    height=lambda width: TOP + HEIGHT + BELOW,
    draw=lambda canvas: _draw(canvas, scores, sizes, best),
  )


def _title(best, scores, sizes) -> str:
  """The composition to hold in half of what the whole teacher takes."""
  teacher = max(scores, key=lambda word: word.count("T"))
  within = [word for size, word in best if size <= sizes[teacher] / 2]
  if "S" in teacher or not within:
    return f"{phrases.number_of(len(best), 'composition')} to choose by memory"
  word = within[-1]
  return (
    f"Within half of the teacher's memory, {word} answers "
    f"{phrases.percent(scores[word]['top1'])}"
  )


def _draw(canvas: Canvas, scores, sizes, best) -> dict[str, str]:
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
  largest = max(sizes.values())
  starts = [size for size, _ in best] + [1.03 * largest]
  values = [scores[word]["top1"] for _, word in best]
  axes.step(
    starts,
    [*values, values[-1]],
    where="post",
    color=LIGHT["swap"],
    linewidth=1.8,
  )
  axes.set(xlim=(0, 1.05 * largest), xlabel="bytes in memory")
  size_axis(axes, 3 if canvas.is_narrow else 7)
  _name_best(axes, scores, best, canvas)
  return notes


def _name_best(axes: Axes, scores, best, canvas: Canvas):
  """As many as there is room for, each above its place on the line."""
  free_from = -1.0
  left, right = axes.get_xlim()
  per_pixel = (right - left) / (canvas.width - LEFT - RIGHT)
  for size, word in best:
    width = per_pixel * (7.5 * len(word) + 10)
    if len(word) > 12 or size < free_from or size + width > right + width / 2:
      continue
    free_from = size + width
    axes.annotate(
      word,
      (size, scores[word]["top1"]),
      xytext=(4, 7),
      textcoords="offset points",
      color=LIGHT["swap"],
      weight="bold",
      bbox=BEHIND_TEXT,
    )
