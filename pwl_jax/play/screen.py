"""What is seen while it runs: one calm screen, or a line for every event.

A terminal shows a bar per unit, as long as the unit's teacher is large, and
what the stream of requests gets. Elsewhere, in a log, whatever happens is a
line of its own.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal as size
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play.session import Scene
from pwl_jax.play.timeline import percentile

BAR = 32  # Columns of the largest unit.
OTHER_LINES = 10
STYLES = {
  "student": "green",
  "loading": "yellow",
  "loaded": "yellow",
  "teacher": "blue",
}
WORTH_A_LINE = ("served", "retried", "failed", "cancelled")

Show = Callable[[Scene], None]


@contextlib.contextmanager
def shown(
  title: str, alone: float | None, *, out: TextIO | None = None
) -> Iterator[Show]:
  """A function that shows a scene; the last screen goes away in the end.

  Args:
    title: what is played.
    alone: seconds after which the teacher loaded plainly would answer.
    out: where to; standard output by default.
  """
  console = Console(file=out or sys.stdout, highlight=False)
  if not console.is_terminal:
    yield Lines(console.file)
    return
  with Live(console=console, auto_refresh=False, transient=True) as live:

    def show(scene: Scene):
      rows = console.height - OTHER_LINES
      live.update(view(scene, title, alone, rows=rows), refresh=True)

    yield show


class Lines:
  """Writes what is new since it was last called."""

  def __init__(self, out: TextIO):
    self._out, self._seen = out, 0
    self._is_answering = False

  def __call__(self, scene: Scene):
    if scene.answers and not self._is_answering:
      self._is_answering = True
      text = f"{scene.composition} answers"
      self._say(scene, scene.seconds, text, scene.resident_bytes)
    for event in scene.events[self._seen :]:
      if event.kind in WORTH_A_LINE:
        text = f"{event.kind} {event.text}"
        if event.kind == "served":
          text += f", {accuracy_of(scene.manifest, event.composition)}"
        self._say(scene, event.seconds, text, event.resident_bytes)
    self._seen = len(scene.events)

  def _say(self, scene: Scene, seconds: float, text: str, nbytes: int):
    print(
      f"{seconds:7.2f} s  {text}; {_stream(scene)}; {_latency(scene)}; "
      f"{size(nbytes)} in memory",
      file=self._out,
      flush=True,
    )


def view(
  scene: Scene, title: str, alone: float | None, *, rows: int
) -> RenderableType:
  """One screen; where it has no room for the bars, the composition says it."""
  parts: list[RenderableType] = [Text(title, style="bold"), Text()]
  if scene.manifest.num_units <= rows:
    parts += [_units(scene), Text()]
  facts = Table.grid(padding=(0, 2))
  for name, value in _facts(scene, alone).items():
    facts.add_row(Text(name, style="dim"), Text(value))
  return Group(*parts, facts)


def _units(scene: Scene) -> RenderableType:
  manifest = scene.manifest
  sizes = {
    letter: [
      manifest.pieces[manifest.unit(letter, i)].nbytes
      for i in range(manifest.num_units)
    ]
    for letter in "ST"
  }
  largest = max(*sizes["S"], *sizes["T"], 1)
  grid = Table.grid(padding=(0, 2))
  for width in (None, 7, BAR, 8):
    grid.add_column(min_width=width)
  for i, letter in enumerate(scene.composition):
    served = "teacher" if letter == "T" else "student"
    coming = manifest.unit("T", i) if letter == "S" else ""
    state = served
    if coming in scene.coming:
      state = "loaded" if coming in scene.loaded else "loading"
    columns = [
      max(1, round(BAR * sizes[x][i] / largest)) for x in (letter, "T")
    ]
    bar = Text("━" * columns[0], style=STYLES[served])
    rest = "━" * (columns[1] - columns[0])
    bar.append(rest, style="bright_black" if state == served else STYLES[state])
    grid.add_row(
      Text(f"unit {i}"),
      Text(state, style=STYLES[state]),
      bar,
      Text(size(sizes[letter][i]), style="dim"),
    )
  return grid


def _facts(scene: Scene, alone: float | None) -> Mapping[str, str]:
  facts = {
    "time": f"{scene.seconds:.1f} s",
    "serving": f"{scene.composition}, "
    + accuracy_of(scene.manifest, scene.composition),
    "stream": _stream(scene),
    "latency": _latency(scene),
    "memory": f"{size(scene.resident_bytes)} of weights{_loaded(scene)}",
  }
  if alone is not None:
    rest = alone - scene.seconds
    facts["teacher alone"] = (
      f"would give its first answer in {rest:.1f} s"
      if rest > 0
      else f"gives its first answer after {alone:.2f} s"
    )
  return facts


def accuracy_of(manifest: Manifest, word: str) -> str:
  """As it was measured when the bundle was made."""
  found = manifest.compositions.get(word)
  if found is None or (found.test is None and found.valid is None):
    return "not measured"
  if found.test is None:
    return f"{100 * found.valid:.2f} % of held-out images right"
  return f"{100 * found.test:.2f} % of test images right"


def _stream(scene: Scene) -> str:
  text = f"{scene.answers:,} answer{'s' if scene.answers != 1 else ''}"
  if scene.right is not None and scene.images:
    text += f", {100 * scene.right / scene.images:.1f} % right so far"
  if scene.failures:
    text += f", {scene.failures:,} failed"
  if scene.behind > 1:
    text += f", {scene.behind:,} due"
  return text


def _loaded(scene: Scene) -> str:
  if scene.progress is None:
    return ""
  done, total = scene.progress.loaded_bytes, scene.progress.total_bytes
  return f", {size(done)} of {size(total)} loaded"


def _latency(scene: Scene) -> str:
  found = [a.answered - a.due for a in scene.recent]
  if not found:
    return "no latency yet"
  half, most = (1000 * (percentile(found, p) or 0) for p in (50, 99))
  return f"p50 {half:.3g} ms, p99 {most:.3g} ms"


def conclusion(found: Mapping[str, Any]) -> RenderableType:
  """What stays on the terminal: the rungs, and what was gained."""
  table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
  names = ("served", "from", "right of the stream", "measured", "requests")
  for name in (*names, "p50", "p99", "memory"):
    table.add_column(name, justify="left" if name == "served" else "right")
  for rung in found["rungs"]:
    measured = rung["test_accuracy"]
    if measured is None:
      measured = rung["valid_accuracy"]
    table.add_row(
      Text(rung["composition"]),
      f"{rung['seconds']:.2f} s",
      _percent(rung["accuracy"]),
      _percent(measured),
      f"{rung['requests']:,}",
      _milliseconds(rung["p50_ms"]),
      _milliseconds(rung["p99_ms"]),
      size(rung["resident_bytes"]),
    )
  return table


def _percent(share: float | None) -> str:
  return "-" if share is None else f"{100 * share:.2f} %"


def _milliseconds(value: float | None) -> str:
  return "-" if value is None else f"{value:.3g} ms"
