"""Threads that leave the processor to the requests.

A request computes on all cores, and waits for the slowest of them. So what a
change computes has a lower priority, where threads have one of their own.
"""

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable

# A tenth of the share of others: with none, a busy machine would starve them.
NICENESS = 10
_started: set[threading.Thread] = set()


def start(name: str, run: Callable[[], None]) -> threading.Thread:
  """In a thread that is waited for when the process ends, and no sooner."""

  def politely():
    if sys.platform == "linux":  # Elsewhere it is the whole process that has.
      with contextlib.suppress(OSError):
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, NICENESS)
    run()

  # A daemon, as others are waited for before anybody can end them.
  thread = threading.Thread(
    target=politely, name=f"pwl_jax {name}", daemon=True
  )
  _started.difference_update({t for t in _started if _has_ended(t)})
  _started.add(thread)
  thread.start()
  return thread


def _has_ended(thread: threading.Thread) -> bool:
  return thread.ident is not None and not thread.is_alive()


@atexit.register
def _join_all():
  """A thread that is inside of XLA when Python ends aborts the process.

  Whoever started them has asked them to end by now: what is registered later
  is called sooner.
  """
  for thread in list(_started):
    if thread.is_alive():
      thread.join()
