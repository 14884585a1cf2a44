"""A split that is decoded as it is needed, for sets too large for memory.

The number of a step is the whole position in the data: what a batch shows
follows from (seed, step) alone, on any number of processes and workers.
Batches are made in pieces of a few examples, so that many hands share one.
"""

import contextlib
import dataclasses
import functools
import hashlib
import sys
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pwl_jax.data import views
from pwl_jax.data.ahead import default_workers, read_ahead
from pwl_jax.data.batches import epoch_order, steps_per_epoch
from pwl_jax.data.dataset import Split
from pwl_jax.data.records import Records, View

PIECE = 32  # Examples.
AHEAD = 2  # Batches.
SAMPLE_BATCH = 256


class Batch(NamedTuple):
  images: np.ndarray  # uint8[b, h, w, c]
  labels: np.ndarray  # int32[b]


@dataclasses.dataclass(frozen=True)
class Stream:
  """Some rows of the records of a split, seen at one size."""

  records: Records
  rows: np.ndarray  # int32[n]
  input_shape: tuple[int, int, int]  # A square.
  workers: int = -1  # Processes while training; 0 for threads, -1 chooses.

  input_dtype = np.dtype(np.uint8)

  def __len__(self) -> int:
    return len(self.rows)

  def take(self, rows: np.ndarray | slice) -> "Stream":
    return dataclasses.replace(self, rows=self.rows[rows])

  def fingerprint(self) -> str:
    digest = hashlib.sha256(self.records.fingerprint().encode())
    digest.update(self.rows.astype("<i4").tobytes())
    digest.update(repr(self.input_shape).encode())
    return digest.hexdigest()

  def sample(self, n: int) -> Split:
    """The first n examples, as evaluation sees them."""
    batches = list(self.take(slice(n)).batches(SAMPLE_BATCH))
    return Split(*map(np.concatenate, zip(*batches, strict=True)))

  def batches(self, batch_size: int) -> Iterator[Batch]:
    """Every example once, in order, seen from the middle."""
    count = -(-len(self) // batch_size)
    plan = Plan(batch_size, 0, batch_size, PIECE)
    make = functools.partial(_centre_piece, self, plan)
    with contextlib.closing(
      self._join(make, plan, range(count), workers=0)
    ) as batches:
      yield from batches

  def training_batches(
    self,
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    share: tuple[int, int] = (0, 1),
  ) -> "Batches":
    """Random views in a random order, from a step on, for ever.

    Args:
      batch_size: of all processes together.
      seed: of the order and of the views.
      first_step: the number of the first batch.
      share: index of this process, number of processes; each gets its rows.
    """
    index, count = share
    if not 0 <= index < count or batch_size % count:
      raise ValueError(
        f"a batch of {batch_size} cannot be shared among {count} processes, "
        f"this one being number {index}; choose a multiple of their number"
      )
    steps_per_epoch(len(self), batch_size)
    local = batch_size // count
    plan = Plan(batch_size, index * local, local, PIECE)
    make = functools.partial(_training_piece, self, plan, seed)
    steps = range(first_step, sys.maxsize // (2 * plan.parts))
    workers = default_workers() if self.workers < 0 else self.workers
    return self._join(make, plan, steps, workers=workers)

  def _join(self, make, plan: "Plan", steps: range, *, workers: int):
    pieces = read_ahead(
      make,
      range(steps.start * plan.parts, steps.stop * plan.parts),
      workers=workers,
      ahead=AHEAD * plan.parts,
      piece_bytes=plan.piece * int(np.prod(self.input_shape)),
    )
    return Batches(pieces, plan.parts)


class Batches:
  """Batches joined from their pieces; `close()` ends who makes them."""

  def __init__(self, pieces: Iterator[Batch], parts: int):
    self._pieces, self._parts = pieces, parts

  def __iter__(self) -> "Batches":
    return self

  def __next__(self) -> Batch:
    pieces = [next(self._pieces) for _ in range(self._parts)]
    return Batch(*map(np.concatenate, zip(*pieces, strict=True)))

  def close(self):
    self._pieces.close()


class Plan(NamedTuple):
  """Which examples make up a piece, counted from the first ever shown."""

  batch_size: int  # Of all processes.
  offset: int  # Of the rows of this one.
  local: int  # How many it has.
  piece: int

  @property
  def parts(self) -> int:
    return -(-self.local // self.piece)

  def positions(self, number: int) -> range:
    step, part = divmod(number, self.parts)
    first = step * self.batch_size + self.offset
    start = first + part * self.piece
    return range(start, min(start + self.piece, first + self.local))


def _centre_piece(stream: Stream, plan: Plan, number: int) -> Batch:
  positions = plan.positions(number)
  rows = stream.rows[positions.start : positions.stop]  # Fewer at the end.
  size, _, channels = stream.input_shape
  return _decode(
    stream,
    rows,
    lambda image, i: views.centre_view(image, size, channels=channels),
  )


def _training_piece(
  stream: Stream, plan: Plan, seed: int, number: int
) -> Batch:
  positions = plan.positions(number)
  step, first = divmod(positions.start, plan.batch_size)
  epoch, place = divmod(step, steps_per_epoch(len(stream), plan.batch_size))
  start = place * plan.batch_size + first
  order = _order(len(stream), seed, epoch)
  size, _, channels = stream.input_shape

  def view(image, i):
    # Far along the counter, apart from the order of epoch `positions[i]`.
    philox = np.random.Philox(counter=1 << 192, key=[seed, positions[i]])
    rng = np.random.Generator(philox)
    return views.random_view(image, size, rng, channels=channels)

  rows = stream.rows[order[start : start + len(positions)]]
  return _decode(stream, rows, view)


def _decode(stream: Stream, rows: np.ndarray, view: View) -> Batch:
  images = np.empty((len(rows), *stream.input_shape), np.uint8)
  return Batch(images, stream.records.decode(rows, view, images))


def _order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
  """Drawn once per epoch by every process, not by every one of its threads."""
  with _ORDER_LOCK:
    return _cached_order(num_examples, seed, epoch)


_ORDER_LOCK = threading.Lock()


@functools.lru_cache(maxsize=2)
def _cached_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
  return epoch_order(num_examples, seed=seed, epoch=epoch)
