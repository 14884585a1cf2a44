"""Threads that leave the processor to the requests.

A request computes on all cores, and waits for the slowest of them. So what a
change computes has a lower priority, where threads have one of their own.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable

NICENESS = 19  # Little of the share of others, and all that they leave.


def start(name: str, run: Callable[[], None]) -> threading.Thread:
  """In a thread that a process does not wait for when it ends."""

  def politely():
    if sys.platform == "linux":  # Elsewhere it is the whole process that has.
      with contextlib.suppress(OSError):
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, NICENESS)
    run()

  thread = threading.Thread(
    target=politely, name=f"pwl_jax {name}", daemon=True
  )
  thread.start()
  return thread
