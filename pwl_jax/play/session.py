"""Serves a bundle while it is upgraded, and records what happened.

The clock starts when the bundle is asked for; jax has started by then. The
requests begin when the model is open, the upgrade with the first answer.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play.examples import Examples
from pwl_jax.play.stream import Answer, Stream
from pwl_jax.play.timeline import Rung
from pwl_jax.runtime import Model, errors, open_model, routes
from pwl_jax.runtime.events import Event
from pwl_jax.runtime.upgrade import Progress, Upgrade

REFRESH = 0.125  # Seconds between two looks at it.
RECENT = 2.0  # Seconds whose latencies are shown.


class Scene(NamedTuple):
  """All that there is to see at one moment."""

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
  behind: int  # Requests that are due and not answered.
  failures: int
  events: tuple[Event, ...]  # By the clock of the scene.


class Recorded(NamedTuple):
  """What is left when it is over."""

  rungs: list[Rung]
  answers: list[Answer]
  unanswered: int  # Due before the end.
  failures: list[str]
  seconds: float
  error: str  # Why it did not get where it should; "" if it did.
  interrupted: bool


class Session:
  """A model, the requests to it, and a clock."""

  def __init__(
    self,
    bundle: pathlib.Path,
    examples: Examples,
    *,
    bandwidth: float | None,
    per_second: float,
    batch: int,
    threads: int,
    budget: int | None,
    policy: str,
    cache_dir: pathlib.Path | None,
  ):
    jax.devices()  # Starting is no part of what is measured.
    self._batch, self._policy = batch, policy
    self._counted, self._right = 0, 0
    self._upgrade: Upgrade | None = None
    self._began = time.perf_counter()
    self._model: Model = open_model(
      bundle,
      max_bytes_per_second=bandwidth,
      budget=budget,
      batch_sizes=(batch,),
      cache_dir=cache_dir,
    )
    # An event's clock starts a little later, and the last one is of now.
    self._offset = self.clock() - self._model.events[-1].seconds
    self._has_labels = examples.labels is not None
    self._stream = Stream(
      self._ask,
      examples.images,
      examples.labels,
      per_second=per_second,
      batch=batch,
      threads=threads,
      clock=self.clock,
    )

  def clock(self) -> float:
    return time.perf_counter() - self._began

  def run(self, seconds: float, show: Callable[[Scene], None]) -> Recorded:
    """Until so long after the upgrade; an interrupt ends it sooner."""
    error, interrupted = "", False
    try:
      self._stream.start()
      self._stream.over.wait()
      self._upgrade = upgrade = self._model.upgrade(policy=self._policy)
      while not upgrade.done:
        show(self.scene())
        time.sleep(REFRESH)
      error = str(upgrade.error or "")
      until = self.clock() + seconds
      while self.clock() < until:
        show(self.scene())
        time.sleep(min(REFRESH, max(0.0, until - self.clock())))
    except KeyboardInterrupt:
      interrupted = True
    except errors.RuntimeFailure as failure:
      error = str(failure)
    ended = self.clock()
    self._stream.stop()
    show(self.scene())
    return self._recorded(ended, error, interrupted)

  def close(self):
    self._stream.stop()
    self._model.close()

  def scene(self) -> Scene:
    model, now = self._model, self.clock()
    answers, composition = self._stream.answers, model.composition
    come = len(answers)
    for answer in answers[self._counted : come]:
      self._right += answer.right or 0
    self._counted = come
    events = self._events()
    loaded = frozenset(
      event.text.partition(",")[0] for event in events if event.kind == "loaded"
    )
    failures = len(self._stream.failures)
    return Scene(
      seconds=now,
      manifest=model.manifest,
      composition=composition,
      resident_bytes=model.resident_bytes,
      loaded=loaded,
      coming=frozenset(self._next_pieces(composition)),
      progress=self._upgrade.progress if self._upgrade else None,
      answers=come,
      right=self._right if self._has_labels else None,
      images=come * self._batch,
      recent=_since(answers[:come], now - RECENT),
      behind=max(0, self._stream.due(now) - come - failures),
      failures=failures,
      events=events,
    )

  def _ask(self, images: np.ndarray) -> tuple[str, np.ndarray]:
    with self._model.pinned() as snapshot:
      return snapshot.composition, snapshot(images)

  def _events(self) -> tuple[Event, ...]:
    return tuple(
      event._replace(seconds=event.seconds + self._offset)
      for event in self._model.events
    )

  def _next_pieces(self, composition: str) -> tuple[str, ...]:
    """Of the composition that is on its way."""
    if self._upgrade is None or self._upgrade.done:
      return ()
    manifest = self._model.manifest
    known = manifest.compositions.items()
    way = routes.route(
      composition,
      self._upgrade.target,
      routes.loading_order(manifest.ladder),
      {word: c.valid for word, c in known if c.valid is not None},
      policy=self._policy,
    )
    return manifest.pieces_of(way[0]) if way else ()

  def _recorded(self, ended: float, error: str, interrupted: bool) -> Recorded:
    stream = self._stream
    over = len(stream.answers) + len(stream.failures)
    return Recorded(
      rungs=[
        Rung(event.seconds, event.composition, event.resident_bytes)
        for event in self._events()
        if event.kind in ("opened", "served")
      ],
      answers=list(stream.answers),
      unanswered=max(0, stream.due(ended) - over),
      failures=list(stream.failures),
      seconds=ended,
      error=error,
      interrupted=interrupted,
    )


def _since(answers: list[Answer], moment: float) -> list[Answer]:
  """They come nearly in order; the last ones are looked at, no more."""
  found: list[Any] = []
  for answer in reversed(answers):
    if answer.answered < moment:
      break
    found.append(answer)
  return found
