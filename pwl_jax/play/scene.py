"""What there is to see at one moment, and how it is put into words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.filesize import decimal as size
from rich.text import Text

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play.stream import Answer, Last
from pwl_jax.play.timeline import percentile
from pwl_jax.runtime.events import Event
from pwl_jax.runtime.upgrade import Progress

LONGEST_NAME = 24  # Of a class, in columns.
SHORTEST_TEXT = 8  # Columns; of less nobody knows which text it is.
MOST_CHARACTERS = 1000  # Of a text that are looked at.


class Scene(NamedTuple):
  """All of it."""

  seconds: float
  manifest: Manifest
  composition: str
  resident_bytes: int
  loaded: frozenset[str]  # Pieces that were, since it was opened.
  coming: frozenset[str]  # Those of the next composition.
  progress: Progress | None  # Of the upgrade.
  answers: int
  right: int | None  # Examples; None if that is not known.
  examples: int
  recent: list[Answer]
  last: Last | None
  behind: int  # Requests that are due and not answered.
  failures: int
  events: tuple[Event, ...]  # By the clock of the scene.


def accuracy_of(manifest: Manifest, word: str) -> str:
  """As it was measured when the bundle was made."""
  found, kind = manifest.compositions.get(word), manifest.input.kind
  if found is None or (found.test is None and found.valid is None):
    return "not measured"
  if found.test is None:
    return f"{100 * found.valid:.2f} % of held-out {kind} right"
  return f"{100 * found.test:.2f} % of test {kind} right"


def stream(scene: Scene) -> str:
  text = f"{scene.answers:,} answer{'s' if scene.answers != 1 else ''}"
  if scene.right is not None and scene.examples:
    text += f", {100 * scene.right / scene.examples:.1f} % right so far"
  if scene.failures:
    text += f", {scene.failures:,} failed"
  if scene.behind > 1:
    text += f", {scene.behind:,} due"
  return text


def latency(scene: Scene) -> str:
  found = [a.answered - a.due for a in scene.recent]
  if not found:
    return "no latency yet"
  half, most = (1000 * (percentile(found, p) or 0) for p in (50, 99))
  return f"p50 {half:.3g} ms, p99 {most:.3g} ms"


def memory(scene: Scene) -> str:
  text = f"{size(scene.resident_bytes)} of weights"
  if scene.progress is None:
    return text
  done, total = scene.progress.loaded_bytes, scene.progress.total_bytes
  return f"{text}, {size(done)} of {size(total)} loaded"


def last_answer(
  last: Last | None, names: Sequence[str], columns: int
) -> str | None:
  """Such as `"a fine film": positive (93 %), right`, in a line of so many.

  None where classes have no names. Of the text, what the rest leaves room for;
  what is no text is not shown.
  """
  if last is None or len(names) != len(last.logits):
    return None
  logits = np.asarray(last.logits, np.float64)
  odds = np.exp(logits - logits.max())
  best = int(logits.argmax())
  answer = f"{_name(names[best])} ({100 * odds[best] / odds.sum():.0f} %)"
  if last.label == best:
    answer += ", right"
  elif last.label is not None:
    answer += f", but it is {_name(names[last.label])}"
  room = columns - cell_len(f'"": {answer}')
  if last.text is None or room < SHORTEST_TEXT:
    return answer
  return f'"{_short(last.text, room)}": {answer}'


def _name(text: str) -> str:
  return _short(text, LONGEST_NAME)


def _short(text: str, columns: int) -> str:
  """In part of one line, whatever it is."""
  shown = "".join(c if c.isprintable() else " " for c in text[:MOST_CHARACTERS])
  line = Text(" ".join(shown.split()))
  line.truncate(columns, overflow="ellipsis")
  return line.plain
