"""Requests at a steady rate, whether or not the answers keep up.

The k-th request is due k/rate seconds after the first, and its latency counts
from then: a model that falls behind cannot hide it by being asked less.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Raw = np.ndarray | Sequence[str]  # Examples in the form that is asked about.


class Answer(NamedTuple):
  """One request, when it is over; seconds by the clock of the stream."""

  due: float
  answered: float
  composition: str  # That it was answered by.
  right: int | None  # Of its examples; None where that is not known.


class Last(NamedTuple):
  """One example, as it was answered last."""

  logits: np.ndarray  # [classes]
  label: int | None
  text: str | None = None  # Of it, if it is one.


class Stream:
  """Asks from some threads until it is stopped.

  Args:
    ask: raw examples -> (composition, logits); called by all threads.
    raw: those that are asked about, again and again.
    labels: of the examples, or None.
    per_second: requests that are due.
    batch: examples of a request.
    threads: requests that can be under way at once.
    clock: now, in seconds.
  """

  def __init__(
    self,
    ask: Callable[[Raw], tuple[str, np.ndarray]],
    raw: Raw,
    labels: np.ndarray | None = None,
    *,
    per_second: float,
    batch: int,
    threads: int,
    clock: Callable[[], float],
  ):
    self._ask, self._raw, self._labels = ask, raw, labels
    self._per_second, self._batch, self._clock = per_second, batch, clock
    self.answers: list[Answer] = []  # As they come; it only grows.
    self.failures: list[str] = []
    self.last: Last | None = None
    self.over = threading.Event()  # The first request, however it ended.
    self._numbers = itertools.count()  # One thread at a time draws from it.
    self._stop = threading.Event()
    self._began = 0.0
    self._threads = [
      threading.Thread(target=self._work, name=f"request {i}", daemon=True)
      for i in range(threads)
    ]

  def start(self):
    self._began = self._clock()
    for thread in self._threads:
      thread.start()

  def stop(self):
    """Those under way are answered first."""
    self._stop.set()
    for thread in self._threads:
      if thread.ident is not None:
        thread.join()

  def due(self, until: float) -> int:
    """How many were due by then."""
    return max(0, int((until - self._began) * self._per_second) + 1)

  def since(self, moment: float) -> list[Answer]:
    """They come nearly in order: the last ones are looked at, no more."""
    found = itertools.takewhile(
      lambda answer: answer.answered >= moment, reversed(self.answers)
    )
    return list(found)

  def _work(self):
    for number in self._numbers:
      due = self._began + number / self._per_second
      if self._stop.wait(max(0.0, due - self._clock())):
        return
      try:
        self.answers.append(self._answer(number, due))
      except Exception as error:  # It is counted, and the stream goes on.
        self.failures.append(f"{type(error).__name__}: {error}")
      self.over.set()

  def _answer(self, number: int, due: float) -> Answer:
    first = number * self._batch
    rows = np.arange(first, first + self._batch) % len(self._raw)
    asked = _chosen(self._raw, rows)
    composition, logits = self._ask(asked)
    answered = self._clock()
    right, label = None, None
    if self._labels is not None:
      right = int((logits.argmax(axis=-1) == self._labels[rows]).sum())
      label = int(self._labels[rows[-1]])
    text = asked[-1] if isinstance(asked[-1], str) else None
    self.last = Last(logits[-1], label, text)
    return Answer(due, answered, composition, right)


def _chosen(raw: Raw, rows: np.ndarray) -> Raw:
  """Texts as a list of them, which is how a user gives them."""
  if isinstance(raw, np.ndarray):
    return raw[rows]
  return [raw[row] for row in rows]
