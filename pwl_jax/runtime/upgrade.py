"""A change that was asked for: how far it is, and how it ended."""

import threading
import time
from typing import NamedTuple

from pwl_jax.runtime.errors import Cancelled

WAITING, RUNNING = "waiting", "running"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
BREATH = 1e-3  # Seconds for which the worker may hold the interpreter.


class Progress(NamedTuple):
  """Of a change, when it was asked."""

  state: str
  composition: str  # Reached so far.
  loaded_bytes: int
  total_bytes: int  # To load for all of it.


class Upgrade:
  """Runs in the background; `wait` for it, `cancel` it, or forget it."""

  def __init__(self, target: str, present: str, policy: str):
    self.target, self.policy = target, policy
    self.error: BaseException | None = None
    self._state, self._composition = WAITING, present
    self._loaded = self._total = 0
    self._reason: str | None = None
    self._breathed = 0.0
    self._stop, self._ended = threading.Event(), threading.Event()

  def wait(self, timeout: float | None = None) -> str:
    """Until it has ended: the composition reached, or what went wrong."""
    if not self._ended.wait(timeout):
      raise TimeoutError(
        f"{self._composition} is served, and {self.target} not reached after "
        f"{timeout} seconds; it goes on"
      )
    if self.error is not None:
      raise self.error.with_traceback(None)
    return self._composition

  def cancel(self, reason: str = "cancelled"):
    """What is served by then stays; nothing half is kept."""
    self._reason = self._reason or reason
    self._stop.set()

  @property
  def done(self) -> bool:
    return self._ended.is_set()

  @property
  def progress(self) -> Progress:
    return Progress(self._state, self._composition, self._loaded, self._total)

  # What follows is the worker's side.

  def begin(self, composition: str, total_bytes: int):
    self._composition = composition
    self._state, self._total = RUNNING, total_bytes

  def loaded(self, nbytes: int):
    self._loaded += nbytes

  def reached(self, composition: str):
    self._composition = composition

  def pause(self, seconds: float = 0.0):
    """Waits, unless it was cancelled: then it raises."""
    if self._state == RUNNING:  # Not while a model is opened.
      self._breathe()
    if self._stop.wait(seconds) if seconds else self._stop.is_set():
      raise Cancelled(f"the way to {self.target}: {self._reason}")

  def _breathe(self):
    """Lets requests have the interpreter, which they need more."""
    if time.perf_counter() - self._breathed > BREATH:
      time.sleep(0)
      self._breathed = time.perf_counter()

  def end(self, error: BaseException | None = None):
    self.error = error
    if error is None:
      self._state = DONE
    else:
      self._state = CANCELLED if isinstance(error, Cancelled) else FAILED
    self._ended.set()
