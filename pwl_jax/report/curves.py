"""How training went: held-out accuracy, loss, and the parts of the loss."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pwl_jax.report import phrases
from pwl_jax.report.axes import name_ends, percent_axis
from pwl_jax.report.drawing import Canvas, Picture
from pwl_jax.report.results import STAGES
from pwl_jax.report.run import NETWORK_OF, Line
from pwl_jax.report.theme import LIGHT, OF_NETWORK

PART_COLOR = {
  "hard": "plain",
  "soft": "kd",
  "feature": "swap",
  "reconstruction": "teacher",
  "cross": "other",
}
STAGE_COLOR = {
  stage: OF_NETWORK[NETWORK_OF.get(stage, stage)] for stage in STAGES
}
FIRST = 30  # Pixels above the first axes.

Curve = list[tuple[float, float]]


class Panel(NamedTuple):
  """Curves that share their axes."""

  title: str
  curves: dict[str, Curve]
  colors: Mapping[str, str]
  is_share: bool = False


def picture(
  curves: Mapping[str, Sequence[Line]], stages: Mapping[str, Any]
) -> Picture | None:
  panels = _panels(curves)
  if not panels:
    return None
  return Picture(
    name="curves",
    title=_title(curves, stages),
    caption="What the stages reported as they trained. They minimise "
    "different losses, so of those only the course compares; the parts of "
    "distill's loss are weighted as they are in its sum.",
    alt="Training curves: " + ", ".join(panel.title for panel in panels),
    height=lambda width: 278 if width > 600 else 40 + 240 * len(panels),
    draw=lambda canvas: _draw(canvas, panels),
  )


def _title(curves, stages) -> str:
  taken = [
    f"{stage} {stages[stage]['steps']:,}"
    for stage in curves
    if isinstance(stages.get(stage, {}).get("steps"), int)
  ]
  seconds = sum(
    stages[stage].get("seconds") or 0 for stage in curves if stage in stages
  )
  if not taken:
    return "Training has begun"
  return (
    f"Training took {phrases.seconds(seconds)}, in steps: {', '.join(taken)}"
  )


def _panels(curves) -> list[Panel]:
  distill = {"distill": curves.get("distill", ())}
  parts = {
    part: curve
    for part in PART_COLOR
    if (curve := _of(distill, part).get("distill"))
    and any(value > 0 for _, value in curve)
  }
  accuracies = _of(curves, "valid_accuracy")
  found = [
    Panel("held-out accuracy", accuracies, STAGE_COLOR, is_share=True),
    Panel("training loss", _of(curves, "loss"), STAGE_COLOR),
    Panel("parts of distill's loss", parts, PART_COLOR),
  ]
  return [panel for panel in found if panel.curves]


def _of(curves: Mapping[str, Sequence[Line]], key: str) -> dict[str, Curve]:
  found = {
    stage: [(line["step"], line[key]) for line in lines if key in line]
    for stage, lines in curves.items()
  }
  return {stage: curve for stage, curve in found.items() if curve}


def _draw(canvas: Canvas, panels):
  left, right, gap = 44, 88, 126
  for i, panel in enumerate(panels):
    if canvas.is_narrow:
      frame = (left, FIRST + 240 * i, canvas.width - left - right, 165)
    else:
      free = canvas.width - left - right - (len(panels) - 1) * gap
      width = free / len(panels)
      frame = (left + i * (width + gap), FIRST, width, 205)
    axes = canvas.axes(*frame)
    axes.set_title(panel.title)
    axes.set_xlabel("steps")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    _draw_panel(axes, panel, frame[3])


def _thousands(value: float, place: Any = None) -> str:
  return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def _draw_panel(axes: Axes, panel: Panel, height: float):
  """Held-out accuracy as a share; losses on a logarithmic scale."""
  values = [v for curve in panel.curves.values() for _, v in curve]
  if panel.is_share:
    percent_axis(axes, values)
    scale = float
  else:
    positive = [v for v in values if v > 0] or [1.0]
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 1.3, max(positive) * 1.3)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: ""))
    scale = math.log
  ends, names = [], []
  for name, curve in panel.curves.items():
    curve = [(step, v) for step, v in curve if panel.is_share or v > 0]
    if not curve:
      continue
    steps, heights = zip(*curve, strict=True)
    axes.plot(
      steps,
      heights,
      color=LIGHT[panel.colors[name]],
      linewidth=1.6,
      marker="o" if len(curve) < 3 else "",
      markersize=3,
    )
    names.append(name)
    ends.append((steps[-1], heights[-1]))
  _label_ends(axes, names, ends, panel.colors, scale, height)


def _label_ends(axes: Axes, names, ends, colors, scale, height: float):
  """Beside the frame, at the height where each curve ends, a line apart."""
  low, high = map(scale, axes.get_ylim())
  wished = [
    height * (scale(value) - low) / (high - low) if high > low else 0
    for _, value in ends
  ]
  labels = [
    (name, y, LIGHT[colors[name]])
    for name, y in zip(names, wished, strict=True)
  ]
  name_ends(axes, labels, gap=14, inset=6)
