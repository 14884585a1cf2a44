"""What there is to see at one moment, and how it is put into words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.filesize import decimal as size

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play.stream import Answer, Last
from pwl_jax.play.timeline import percentile
from pwl_jax.runtime.events import Event
from pwl_jax.runtime.upgrade import Progress

LONGEST_NAME = 24  # Of a class, in columns.


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
  right: int | None  # Images; None if that is not known.
  images: int
  recent: list[Answer]
  last: Last | None
  behind: int  # Requests that are due and not answered.
  failures: int
  events: tuple[Event, ...]  # By the clock of the scene.


def accuracy_of(manifest: Manifest, word: str) -> str:
  """As it was measured when the bundle was made."""
  found = manifest.compositions.get(word)
  if found is None or (found.test is None and found.valid is None):
    return "not measured"
  if found.test is None:
    return f"{100 * found.valid:.2f} % of held-out images right"
  return f"{100 * found.test:.2f} % of test images right"


def stream(scene: Scene) -> str:
  text = f"{scene.answers:,} answer{'s' if scene.answers != 1 else ''}"
  if scene.right is not None and scene.images:
    text += f", {100 * scene.right / scene.images:.1f} % right so far"
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


def last_answer(last: Last | None, names: Sequence[str]) -> str | None:
  """cat (93 %), right; None where classes have no names."""
  if last is None or len(names) != len(last.logits):
    return None
  logits = np.asarray(last.logits, np.float64)
  odds = np.exp(logits - logits.max())
  best = int(logits.argmax())
  text = f"{_short(names[best])} ({100 * odds[best] / odds.sum():.0f} %)"
  if last.label is None:
    return text
  if last.label == best:
    return f"{text}, right"
  return f"{text}, but it is {_short(names[last.label])}"


def _short(name: str) -> str:
  """In part of one line, whatever it is."""
  shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
  if len(shown) <= LONGEST_NAME:
    return shown
  return f"{shown[: LONGEST_NAME - 1]}…"
