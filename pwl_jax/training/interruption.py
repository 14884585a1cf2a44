"""Ending between two steps when asked to, so that a run can be continued.

Clusters that take a machine back send SIGTERM first; Ctrl-C is the same
request from a person. The second one ends at once, but not where there are
several processes: of them one may be told alone, jax tells the others, and
they agree on the step to end at.
"""

import contextlib
import os
import signal
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

EXIT_CODE = 75  # "Try again later" in sysexits.h: the same command continues.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
  """The run was saved and stopped."""


class Request:
  """Whether somebody has asked for the end, and how."""

  def __init__(self):
    self.name: str | None = None

  def reached(self) -> bool:
    """To be asked at the same places by every process."""
    return self.name is not None

  def check(self, where: str):
    """Ends the run here, where nothing has to be saved."""
    if self.reached():
      raise Interrupted(f"{self.name} {where}")


class ClusterRequest(Request):
  """Asked of any process, true in all of them at the same place."""

  def __init__(self):
    super().__init__()
    self._asked = 0

  def reached(self) -> bool:
    self._asked += 1
    if multihost_utils.reached_preemption_sync_point(self._asked):
      self.name = "SIGTERM"
    return super().reached()


@contextlib.contextmanager
def listening() -> Iterator[Request]:
  """Notes the first signal; then puts the earlier handlers back."""
  if jax.process_count() > 1:
    handlers = {signal.SIGINT: _as_sigterm}  # jax itself listens to SIGTERM.
    request = ClusterRequest()
  else:
    request = Request()

    def note(number, frame):
      del frame
      request.name = signal.Signals(number).name
      _restore(earlier)
      _tell(request.name)

    handlers = dict.fromkeys(SIGNALS, note)
  earlier = {number: signal.getsignal(number) for number in handlers}
  for number, handler in handlers.items():
    signal.signal(number, handler)
  try:
    yield request
  finally:
    _restore(earlier)


def _restore(handlers):
  for number, handler in handlers.items():
    signal.signal(number, handler)


def _as_sigterm(number, frame):
  del number, frame
  signal.signal(signal.SIGINT, signal.default_int_handler)
  os.kill(os.getpid(), signal.SIGTERM)


def _tell(name: str):
  text = f"\n{name}: ending after this step; once more ends it at once\n"
  # Not print: a signal may come while another print holds the buffer.
  os.write(2, text.encode())
