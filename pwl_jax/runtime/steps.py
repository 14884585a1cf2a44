"""One step of a change: load what is missing, build, warm, publish, let go.

Only the worker of a model takes steps, one at a time.
"""

from pwl_jax.runtime.memory import Memory
from pwl_jax.runtime.reader import Reader
from pwl_jax.runtime.serving import Serving
from pwl_jax.runtime.upgrade import Upgrade


class Steps:
  """From composition to composition of what is served.

  Args:
    serving: what it changes, and nobody else.
    rate: bytes per second to read; None for as many as there are.
    retries: of a piece that cannot be read.
  """

  def __init__(self, serving: Serving, *, rate: float | None, retries: int):
    self._serving, self._holdings = serving, serving.holdings
    self._reader = Reader(
      serving.holdings, tell=serving.tell, rate=rate, retries=retries
    )

  @property
  def reading_bytes(self) -> int:
    """Of what is being read, or was read ahead of its need."""
    piece, manifest = self._reader.coming, self._serving.manifest
    names = self._holdings.names
    return manifest.loading_bytes(piece, names) if piece else 0

  def to_load(self, way: list[str], memory: Memory) -> list[str]:
    """The pieces that are missing on it, in their order."""
    missing = (piece for word in way for piece in self._missing(word, memory))
    return list(dict.fromkeys(missing))

  def bytes_to_read(self, way: list[str], memory: Memory) -> int:
    """Of files, until it is gone."""
    return self._serving.manifest.bytes_to_read(
      self.to_load(way, memory), self._holdings.names
    )

  def take(
    self,
    word: str,
    goal: Upgrade,
    memory: Memory,
    following: str | None = None,
  ):
    """From what is served to `word`; `following` is what comes after it."""
    for piece in self._missing(word, memory):
      self._make_room(piece, word, memory)
      self._reader.take(piece, goal)
    ahead = self._missing(following, memory) if following else []
    for piece in ahead[:1]:
      if self._finds_room(piece, memory):
        self._reader.begin(piece, goal)
    snapshot = self._serving.build(word, goal.pause)
    goal.pause()
    self._serving.publish(snapshot)

  def shed(self, memory: Memory):
    """Lets go of what is neither served nor kept for later."""
    self._drop(keep=memory.kept(self._serving.composition))

  def stop(self):
    """What is read ahead is not wanted any more."""
    self._reader.forget()

  def _missing(self, word: str, memory: Memory) -> list[str]:
    """In the order in which they are needed; then a student that is kept."""
    own = self._serving.manifest.pieces_of(word)
    needed = [*own, *sorted(memory.needed(word).difference(own))]
    return [piece for piece in needed if piece not in self._holdings]

  def _finds_room(self, piece: str, memory: Memory) -> bool:
    room = memory.room(self._serving.composition)
    return room is None or self._with(piece, memory) <= room

  def _make_room(self, piece: str, word: str, memory: Memory):
    """What is neither served nor wanted goes first."""
    budget, present = memory.budget, self._serving.composition
    if budget is not None and self._with(piece, memory) > budget:
      self._drop(keep=memory.needed(word) | memory.needed(present))

  def _with(self, piece: str, memory: Memory) -> int:
    held = self._holdings.names
    return memory.size(*held) + memory.manifest.loading_bytes(piece, held)

  def _drop(self, keep: set[str]):
    dropped = [name for name in self._holdings.names if name not in keep]
    if dropped:
      self._holdings.drop(dropped)
      self._serving.tell("shed", ", ".join(dropped))
