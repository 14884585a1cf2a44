"""The worker of a model: it loads, builds, warms and publishes.

One thread, so that changes come one after the other and nothing is built of
two of them. The latest goal counts: another one that comes meanwhile ends the
first where it is, between two snapshots.
"""

import threading
from collections.abc import Callable

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.runtime import routes
from pwl_jax.runtime.errors import BudgetExceeded, Cancelled, LoadFailed
from pwl_jax.runtime.holdings import Holdings, Pace
from pwl_jax.runtime.snapshot import Snapshot
from pwl_jax.runtime.upgrade import Upgrade

BACK_OFF = 0.1  # Seconds before the first retry; doubled each time.


class Climber:
  """Pursues goals in the background.

  Args:
    manifest: of the bundle.
    holdings: the pieces in memory, this thread's alone.
    build: makes the snapshot of a composition whose pieces are held.
    serve: publishes it.
    present: the composition that is served.
    tell: is told what happens, as (kind, text).
  """

  def __init__(
    self,
    manifest: Manifest,
    holdings: Holdings,
    *,
    build: Callable[[str], Snapshot],
    serve: Callable[[Snapshot], None],
    present: Callable[[], str],
    tell: Callable[[str, str], None],
    rate: float | None,
    retries: int,
  ):
    self._manifest, self._holdings = manifest, holdings
    self._build, self._serve, self._present = build, serve, present
    self._tell, self._rate, self._retries = tell, rate, retries
    self.budget: int | None = None
    self.keep_student: bool | None = None
    self._wake = threading.Condition()
    self._next: Upgrade | None = None
    self._now: Upgrade | None = None
    self._closed = False
    self._thread: threading.Thread | None = None

  def submit(self, goal: Upgrade):
    """The goal from now on; the one before it ends where it is."""
    with self._wake:
      if self._closed:
        goal.end(Cancelled("the model is closed"))
        return
      for earlier in (self._now, self._next):
        if earlier is not None:
          earlier.cancel(f"{goal.target} was asked for instead")
      if self._next is not None:
        self._next.end(Cancelled(f"{goal.target} was asked for instead"))
      self._next = goal
      if self._thread is None:
        self._thread = threading.Thread(
          target=self._work, name="pwl_jax loader", daemon=True
        )
        self._thread.start()
      self._wake.notify()

  def close(self):
    with self._wake:
      self._closed = True
      for goal in (self._now, self._next):
        if goal is not None:
          goal.cancel("the model is closed")
      self._wake.notify()
    if self._thread is not None:
      self._thread.join()

  def _work(self):
    while True:
      with self._wake:
        self._now = None
        while self._next is None and not self._closed:
          self._wake.wait()
        if self._next is None:
          return
        goal, self._next = self._next, None
        self._now = goal
      try:
        self._pursue(goal)
      except Exception as error:
        kind = "cancelled" if isinstance(error, Cancelled) else "failed"
        self._tell(kind, str(error))
        self._shed()
        goal.end(error)
      else:
        goal.end()

  def _pursue(self, goal: Upgrade):
    order = routes.loading_order(self._manifest.ladder)
    way = routes.route(
      self._present(),
      goal.target,
      order,
      routes.accuracies(self._manifest),
      policy=goal.policy,
    )
    goal.begin(self._to_load(way))
    for word in way:
      self._load(word, goal)
      goal.pause()
      snapshot = self._build(word)
      snapshot.warm()
      goal.pause()
      self._serve(snapshot)
      goal.reached(word)
      self._shed()

  def _to_load(self, way: list[str]) -> int:
    pieces = {p for word in way for p in self._manifest.pieces_of(word)}
    return sum(self._holdings.size(p) for p in pieces - {*self._holdings.names})

  def _load(self, word: str, goal: Upgrade):
    missing = [
      piece
      for piece in self._manifest.pieces_of(word)
      if piece not in self._holdings
    ]
    for piece in missing:
      self._make_room(piece, word)
      self._load_piece(piece, goal)
      goal.loaded(self._holdings.size(piece))

  def _load_piece(self, piece: str, goal: Upgrade):
    for tries in range(self._retries + 1):
      pace = Pace(self._rate, goal.pause)
      try:
        self._holdings.load(piece, pace)
      except LoadFailed as error:
        if tries == self._retries:
          raise
        self._tell("retried", str(error))
        goal.pause(BACK_OFF * 2**tries)
      else:
        self._tell("loaded", f"{piece}, {self._holdings.size(piece):,} bytes")
        return

  def _make_room(self, piece: str, word: str):
    """Reading goes at most one unit beyond the budget, or what is served.

    What is neither served nor wanted goes first.
    """
    if self.budget is None:
      return
    size, pieces = self._holdings.size, self._manifest.pieces
    served = sum(map(size, self._manifest.pieces_of(self._present())))
    after = self._holdings.nbytes + size(piece)
    most = max(self.budget, served)
    if after > most:
      self._drop(keep={*self._manifest.pieces_of(word)})
      after = self._holdings.nbytes + size(piece)
    if after > most + max(map(size, pieces)):
      raise BudgetExceeded(
        f"{word} needs more than one unit beyond the budget of "
        f"{self.budget:,} bytes on the way from {self._present()}; give more, "
        "or go there by smaller steps"
      )

  def _shed(self):
    """Lets go of what is neither served nor kept for later."""
    student = {
      self._manifest.unit("S", i) for i in range(self._manifest.num_units)
    }
    served = {*self._manifest.pieces_of(self._present())}
    keep = student if self.keep_student is not False else set()
    if self.keep_student is None and self.budget is not None:
      total = sum(map(self._holdings.size, served | student))
      keep = keep if total <= self.budget else set()
    self._drop(keep)

  def _drop(self, keep: set[str]):
    served = {*self._manifest.pieces_of(self._present())}
    dropped = [
      name for name in self._holdings.names if name not in served | keep
    ]
    if dropped:
      self._holdings.drop(dropped)
      self._tell("shed", ", ".join(dropped))
