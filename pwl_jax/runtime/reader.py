"""Reads pieces for the worker, one of them ahead of its need.

While a composition is compiled and warmed, the first piece of the next one is
on its way. Only one piece is read at a time, so a limit on the speed holds.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from pwl_jax.runtime import background
from pwl_jax.runtime.errors import LoadFailed
from pwl_jax.runtime.holdings import Held, Holdings, Pace
from pwl_jax.runtime.upgrade import Upgrade

BACK_OFF = 0.1  # Seconds before the first retry; doubled each time.


class Coming(NamedTuple):
  """A piece that is read in the background."""

  piece: str
  held: "Future[Held]"


class Reader:
  """Of one worker: `tell` is told what happens, as (kind, text)."""

  def __init__(
    self,
    holdings: Holdings,
    *,
    tell: Callable[[str, str], None],
    rate: float | None,
    retries: int,
  ):
    self._holdings, self._tell = holdings, tell
    self._rate, self._retries = rate, retries
    self._coming: Coming | None = None
    self._reading: str | None = None

  @property
  def coming(self) -> str | None:
    """The piece that is on its way."""
    coming = self._coming
    return coming.piece if coming else self._reading

  def begin(self, piece: str, goal: Upgrade):
    """Starts to read what `take` will ask for."""
    self._coming = Coming(piece, _in_background(self._once, piece, goal))

  def take(self, piece: str, goal: Upgrade):
    """Returns when it is held, or raises why it cannot be."""
    held = self._read_ahead(piece) or self._read(piece, goal)
    self._holdings.keep(piece, held)
    self._tell("loaded", f"{piece}, {self._holdings.size(piece):,} bytes")

  def forget(self):
    """What is on its way is not wanted any more."""
    coming, self._coming = self._coming, None
    if coming:
      coming.held.exception()

  def _read_ahead(self, piece: str) -> Held | None:
    """What was read ahead if it is this piece, once it is there.

    None if there was no room for it, which there may be by now.
    """
    coming = self._coming
    failed = coming and coming.held.exception()  # Waits, for others as well.
    if coming is None or coming.piece != piece:
      return None
    self._coming = None
    return None if failed else coming.held.result()

  def _read(self, piece: str, goal: Upgrade) -> Held:
    for tries in range(self._retries):
      try:
        return self._once(piece, goal)
      except LoadFailed as error:
        self._tell("retried", str(error))
        goal.pause(BACK_OFF * 2**tries)
    return self._once(piece, goal)

  def _once(self, piece: str, goal: Upgrade) -> Held:
    self._reading = piece
    pace = Pace(self._rate, goal.pause, goal.loaded)
    try:
      return self._holdings.read(piece, pace)
    except Exception:
      goal.loaded(-pace.read)
      raise
    finally:
      self._reading = None


def _in_background(call: Callable, *arguments) -> Future:
  future: Future = Future()

  def run():
    try:
      future.set_result(call(*arguments))
    except BaseException as error:
      future.set_exception(error)

  background.start("reader", run)
  return future
