"""What is served, and what it is built of.

The model's users and its worker share this; it knows neither of them, so that
a model nobody holds any more can go, while its worker still runs.
"""

import functools
from collections.abc import Callable, Sequence

import jax

from pwl_jax.bundle.manifest import DECODE, ENCODE, RUN, Manifest
from pwl_jax.bundle.reading import Bundle
from pwl_jax.method.composition import STUDENT, is_switch
from pwl_jax.runtime.errors import Closed
from pwl_jax.runtime.events import EventLog
from pwl_jax.runtime.executables import Cache
from pwl_jax.runtime.holdings import Held, Holdings
from pwl_jax.runtime.programs import Program
from pwl_jax.runtime.requests import reader
from pwl_jax.runtime.snapshot import Snapshot, Step, buckets


class Serving:
  """A snapshot that answers, the pieces in memory, and a log."""

  def __init__(
    self,
    bundle: Bundle,
    *,
    device: jax.Device,
    cache: Cache,
    batch_sizes: Sequence[int],
  ):
    self.bundle, self.events = bundle, EventLog()
    self.holdings = Holdings(bundle, device)
    self._device, self._cache = device, cache
    self._programs: dict[str, Program] = {}
    self._seen = {b for size in batch_sizes for b in buckets(size)}
    self._read = reader(self.manifest.input)
    self._snapshot: Snapshot | None = None

  @property
  def manifest(self) -> Manifest:
    return self.bundle.manifest

  @property
  def snapshot(self) -> Snapshot:
    snapshot = self._snapshot
    if snapshot is None:
      raise Closed()
    return snapshot

  @property
  def composition(self) -> str:
    """Served now; "" before the first one."""
    snapshot = self._snapshot
    return snapshot.composition if snapshot else ""

  def build(self, word: str, pause: Callable[[], None]) -> Snapshot:
    """Of pieces that are held, ready to answer; `pause` may end it."""
    snapshot = Snapshot(
      word,
      self._steps(word),
      input=self.manifest.input,
      read=self._read,
      device=self._device,
      seen=self._seen,
    )
    snapshot.warm(pause)
    return snapshot

  def publish(self, snapshot: Snapshot):
    kind = "served" if self._snapshot else "opened"
    self._snapshot = snapshot
    where = f"{self.bundle.directory}, " if kind == "opened" else ""
    self.tell(kind, f"{where}{snapshot.composition}")

  def tell(self, kind: str, text: str):
    self.events.add(kind, text, self.composition, self.holdings.nbytes)

  def close(self):
    if self._snapshot is not None:
      self._snapshot = None
      self.holdings.drop(self.holdings.names)
      self.tell("closed", "")

  def _steps(self, word: str) -> list[Step]:
    steps = []
    calibrated = self.manifest.is_calibrated(word)
    for i, letter in enumerate(word):
      converter = self.manifest.boundary(i - 1) if i else None
      if converter and is_switch(letter, word[i - 1]):
        role = ENCODE if letter == STUDENT else DECODE
        steps.append(self._step(converter, role))
      node = self.manifest.node(word[: i + 1]) if calibrated else None
      steps.append(self._step(self.manifest.unit(letter, i), RUN, node))
    return steps

  def _step(self, piece: str, role: str, node: str | None = None) -> Step:
    """`node` holds leaves that take the place of others."""
    held = self.holdings[piece]
    leaves = held.leaves | (self.holdings[node].leaves if node else {})
    names = tuple(sorted(leaves))
    arrays = tuple(leaves[name] for name in names)
    return Step(self._program(piece, role, held), names, arrays)

  def _program(self, piece: str, role: str, held: Held) -> Program:
    """Units that do the same have one program, which is compiled once."""
    digest = self.manifest.pieces[piece].programs[role]
    if digest not in self._programs:
      self._programs[digest] = Program(
        functools.partial(
          self.bundle.exported, held.programs[role], piece, role
        ),
        digest,
        what=f"the {role} program of {piece}, written with jax "
        f"{self.manifest.versions['jax']},",
        device=self._device,
        cache=self._cache,
      )
    return self._programs[digest]
