"""What is seen while it runs: one calm screen on a terminal.

It has a bar per unit, as long as the unit's teacher is large, and what the
stream of requests gets. Elsewhere it is a log.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal as size
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pwl_jax.method.composition import CLIMB, GROUPS, ROLES, TEACHER
from pwl_jax.play import scene as scenes
from pwl_jax.play.log import Log
from pwl_jax.play.scene import Scene

BAR, SHORTEST_BAR = 32, 6  # Columns of the largest unit.
BESIDE_BAR = 28  # Columns.
BESIDE_FACT = len("teacher alone") + 2
OTHER_LINES = 11
STYLES = {
  "student": "green",
  "loading": "yellow",
  "loaded": "yellow",
  "coarse": "cyan",  # The teacher, in fewer bits.
  "teacher": "blue",
}

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
    yield Log(console.file)
    return
  with Live(console=console, auto_refresh=False, transient=True) as live:

    def show(scene: Scene):
      rows, columns = console.height - OTHER_LINES, console.width
      screen = view(scene, title, alone, rows=rows, columns=columns)
      live.update(screen, refresh=True)

    yield show


def view(
  scene: Scene, title: str, alone: float | None, *, rows: int, columns: int
) -> RenderableType:
  """One screen; where it has no room for the bars, the composition says it."""
  first = Text(title, style="bold", no_wrap=True, overflow="ellipsis")
  parts: list[RenderableType] = [first, Text()]
  bar = min(BAR, columns - BESIDE_BAR)
  if scene.manifest.num_units <= rows and bar >= SHORTEST_BAR:
    parts += [_units(scene, bar), Text()]
  facts = Table.grid(padding=(0, 2))
  for name, value in _facts(scene, alone, columns).items():
    facts.add_row(Text(name, style="dim"), Text(value))
  return Group(*parts, facts)


def _units(scene: Scene, longest: int) -> RenderableType:
  manifest = scene.manifest
  units = range(manifest.num_units)

  def nbytes(letter: str, i: int) -> int:
    return manifest.pieces[manifest.unit(letter, i)].nbytes

  largest = max(1, *(nbytes(letter, i) for letter in ROLES for i in units))
  grid = Table.grid(padding=(0, 2))
  for width in (None, 7, longest, 8):
    grid.add_column(min_width=width)
  for i, letter in enumerate(scene.composition):
    state = served = GROUPS[letter]
    better = CLIMB[CLIMB.index(letter) + 1 :]
    coming = scene.coming & {manifest.unit(other, i) for other in better}
    if coming:
      state = "loaded" if coming <= scene.loaded else "loading"
    lengths = [
      max(1, round(longest * nbytes(x, i) / largest)) for x in (letter, TEACHER)
    ]
    bar = Text("━" * lengths[0], style=STYLES[served])
    rest = "━" * (lengths[1] - lengths[0])
    bar.append(rest, style="bright_black" if state == served else STYLES[state])
    grid.add_row(
      Text(f"unit {i}"),
      Text(state, style=STYLES[state]),
      bar,
      Text(size(nbytes(letter, i)), style="dim"),
    )
  return grid


def _facts(
  scene: Scene, alone: float | None, columns: int
) -> Mapping[str, str]:
  facts = {
    "time": f"{scene.seconds:.1f} s",
    "serving": f"{scene.composition}, "
    + scenes.accuracy_of(scene.manifest, scene.composition),
    "stream": scenes.stream(scene),
    "latency": scenes.latency(scene),
    "memory": scenes.memory(scene),
  }
  answer = scenes.last_answer(
    scene.last, scene.manifest.class_names, columns - BESIDE_FACT
  )
  if answer:
    facts["last answer"] = answer
  if alone is not None:
    rest = alone - scene.seconds
    facts["teacher alone"] = (
      f"would give its first answer in {rest:.1f} s"
      if rest > 0
      else f"gives its first answer after {alone:.2f} s"
    )
  return facts
