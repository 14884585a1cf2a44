"""Ctrl-C and SIGTERM: both end the show, and what it has recorded is kept.

Before the show nothing is recorded, and they raise KeyboardInterrupt. From its
beginning on they are noted and no more: the show looks for that, and a second
one disturbs nothing of what is written then.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = signal.SIGINT, signal.SIGTERM


class Interrupts:
  """Of one show."""

  def __init__(self):
    self._first: int | None = None
    self._is_noting = False

  @contextlib.contextmanager
  def caught(self) -> Iterator[None]:
    """While it is played; a program takes signals in its main thread alone."""
    if threading.current_thread() is not threading.main_thread():
      yield
      return
    before = {number: signal.signal(number, self._take) for number in SIGNALS}
    try:
      yield
    finally:
      for number, handler in before.items():
        signal.signal(number, handler)

  def only_note(self):
    """From now on."""
    self._is_noting = True

  @property
  def came(self) -> bool:
    return self._first is not None

  @property
  def exit_code(self) -> int:
    """What shells expect of what was ended so."""
    return 128 + (self._first or signal.SIGINT)

  def _take(self, number: int, frame: FrameType | None):
    # No lock and no event: the code that is interrupted may hold it.
    if self._first is None:
      self._first = number
    if not self._is_noting:
      raise KeyboardInterrupt
