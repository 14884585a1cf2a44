"""Pieces of work done ahead of their use, by threads or processes of Grain.

The results come in order, whoever made them.
"""

import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

MAX_WORKERS = 16
MAX_THREADS = 16  # Of one process; more would wait for Python's lock.
THREADS_PER_WORKER = 2  # One reads while the other decodes.
FEW_CPUS = 4  # That threads alone keep busy.
SHARED_MEMORY = "/dev/shm"


def available_cpus() -> int:
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def default_workers() -> int:
  """Decoding frees Python's lock for nine tenths of its time."""
  cpus = available_cpus()
  if cpus <= FEW_CPUS:
    return 0
  return min(cpus // THREADS_PER_WORKER, MAX_WORKERS)


def read_ahead(
  make: Callable[[int], Any],
  numbers: range,
  *,
  workers: int,
  ahead: int,
  piece_bytes: int = 0,
) -> Iterator[Any]:
  """make(number) of every number; `close()` ends it.

  Args:
    make: has to be picklable for worker processes.
    numbers: what it is called with.
    workers: processes; 0 for threads of this one.
    ahead: how many pieces are to wait for their use.
    piece_bytes: about the size of one, to see whether shared memory suffices.
  """
  import grain  # Takes a second: only for its users.

  _settle_flags()
  threads = THREADS_PER_WORKER
  if not workers:
    threads = min(available_cpus(), MAX_THREADS)
  each = max(2, -(-ahead // max(workers, 1)))
  pieces = grain.MapDataset.range(numbers.start, numbers.stop).map(make)
  pieces = pieces.to_iter_dataset(
    grain.ReadOptions(
      num_threads=threads,
      prefetch_buffer_size=threads if workers else max(threads, each),
    )
  )
  if workers:
    needed = 2 * workers * (each + threads) * piece_bytes
    if not _fits_shared_memory(needed):  # As in most containers.
      pieces = grain.experimental.WithOptionsIterDataset(
        pieces, grain.experimental.DatasetOptions(min_shm_size=sys.maxsize)
      )
    pieces = pieces.mp_prefetch(
      grain.MultiprocessingOptions(
        num_workers=workers, per_worker_buffer_size=each
      ),
      worker_init_fn=_start_worker,
    )
  return iter(pieces)


def _settle_flags():
  """Grain reads flags of its own, which only a program of absl's parses."""
  if not flags.FLAGS.is_parsed():
    for name in flags.FLAGS:
      if name.startswith("grain_"):
        flags.FLAGS[name].present = True  # Its default counts.


def _fits_shared_memory(size: int) -> bool:
  try:
    return shutil.disk_usage(SHARED_MEMORY).free > size
  except OSError:  # Not every system has it as a folder.
    return True


def _start_worker(index: int, count: int):
  """Leaves stopping to the process that started it, and ends with it."""
  del index, count
  # Ctrl-C and a scheduler's SIGTERM reach the whole group; the trainer still
  # needs its batches on the way to its last checkpoint.
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
  parent = multiprocessing.parent_process()

  def follow():
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)

  threading.Thread(target=follow, daemon=True).start()
