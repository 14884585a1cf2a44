"""What happened to a model, for people and for tests."""

import threading
import time
from typing import NamedTuple


class Event(NamedTuple):
  """One thing that happened."""

  seconds: float  # Since the model was opened.
  # opened, loaded, served, shed, retried, failed, cancelled, closed; uncached
  kind: str
  text: str
  composition: str  # Served after it.
  resident_bytes: int  # But for what was being read ahead.


class EventLog:
  """Grows; the oldest events of a long life are forgotten."""

  LONGEST = 10_000

  def __init__(self):
    self._began = time.perf_counter()
    self._events: list[Event] = []
    self._lock = threading.Lock()

  def add(self, kind: str, text: str, composition: str, resident_bytes: int):
    seconds = time.perf_counter() - self._began
    with self._lock:
      self._events.append(
        Event(seconds, kind, text, composition, resident_bytes)
      )
      del self._events[: -self.LONGEST]

  def all(self) -> tuple[Event, ...]:
    with self._lock:
      return tuple(self._events)
