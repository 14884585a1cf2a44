"""Serves a bundle while it is upgraded, and records what happened.

The clock starts when the bundle is asked for; jax has started by then. The
requests begin when the model is open, the upgrade with the first answer.
"""

import pathlib
import time
from collections.abc import Callable

import jax
import numpy as np

from pwl_jax.play.examples import Examples
from pwl_jax.play.scene import Scene
from pwl_jax.play.stream import Raw, Stream
from pwl_jax.play.timeline import Recorded, Rung
from pwl_jax.runtime import Model, errors, open_model, routes
from pwl_jax.runtime.events import Event
from pwl_jax.runtime.upgrade import Upgrade

REFRESH = 0.125  # Seconds between two looks at it.
RECENT = 2.0  # Seconds whose latencies are shown.


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
    self.way: list[str] = []  # What the upgrade visits.
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
      examples.raw,
      examples.labels,
      per_second=per_second,
      batch=batch,
      threads=threads,
      clock=self.clock,
    )

  def clock(self) -> float:
    return time.perf_counter() - self._began

  def run(
    self,
    seconds: float,
    show: Callable[[Scene], None],
    *,
    is_ended: Callable[[], bool] = lambda: False,
  ) -> Recorded:
    """Until so long after the upgrade, or until somebody ends it."""
    try:
      error = self._upgraded(seconds, show, is_ended)
    except errors.RuntimeFailure as failure:
      error = str(failure)
    interrupted, due = is_ended(), self._stream.due(self.clock())
    self._stream.stop()
    show(self.scene())
    stream, events = self._stream, self._events()
    return Recorded(
      rungs=[
        Rung(event.seconds, event.composition, event.resident_bytes)
        for event in events
        if event.kind in ("opened", "served")
      ],
      answers=list(stream.answers),
      unanswered=max(0, due - len(stream.answers) - len(stream.failures)),
      failures=list(stream.failures),
      seconds=self.clock(),
      error=error,
      interrupted=interrupted,
    )

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
      examples=come * self._batch,
      recent=self._stream.since(now - RECENT),
      last=self._stream.last,
      behind=max(0, self._stream.due(now) - come - failures),
      failures=failures,
      events=events,
    )

  def _ask(self, raw: Raw) -> tuple[str, np.ndarray]:
    with self._model.pinned() as snapshot:
      return snapshot.composition, snapshot(raw)

  def _events(self) -> tuple[Event, ...]:
    return tuple(
      event._replace(seconds=event.seconds + self._offset)
      for event in self._model.events
    )

  def _upgraded(
    self,
    seconds: float,
    show: Callable[[Scene], None],
    is_ended: Callable[[], bool],
  ) -> str:
    """Why it did not get where it should; "" if it did."""
    # Asked and not waited for: a signal handler must not set an event.
    self._stream.start()
    while not self._stream.over.wait(REFRESH):
      if is_ended():
        return ""
    present = self._model.composition
    self._upgrade = upgrade = self._model.upgrade(policy=self._policy)
    self.way = self._way_to(present, upgrade.target)
    while not upgrade.done:
      if is_ended():
        return ""
      show(self.scene())
      time.sleep(REFRESH)
    until = self.clock() + seconds
    while self.clock() < until and not is_ended():
      show(self.scene())
      time.sleep(min(REFRESH, max(0.0, until - self.clock())))
    return str(upgrade.error or "")

  def _way_to(self, present: str, target: str) -> list[str]:
    """As the worker goes it."""
    manifest = self._model.manifest
    way = routes.route(
      present,
      target,
      routes.loading_order(manifest.ladder, manifest.num_units),
      routes.accuracies(manifest),
      policy=self._policy,
    )
    return way or []

  def _next_pieces(self, composition: str) -> tuple[str, ...]:
    """Of the composition that is on its way."""
    if self._upgrade is None or self._upgrade.done:
      return ()
    served = self.way.index(composition) + 1 if composition in self.way else 0
    rest = self.way[served:]
    return self._model.manifest.pieces_of(rest[0]) if rest else ()
