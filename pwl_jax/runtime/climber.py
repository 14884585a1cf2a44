"""The worker of a model: it takes the steps from what is served to a goal.

One thread, so that changes come one after the other and nothing is built of
two of them. The latest goal counts: another one that comes meanwhile ends the
first where it is, between two snapshots. What may be in memory is decided
together with the goal, so that no change is under way for another budget.
"""

import atexit
import functools
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

from pwl_jax.runtime import background, routes
from pwl_jax.runtime.errors import (
  BudgetExceeded,
  Cancelled,
  Closed,
  LoadFailed,
  RuntimeFailure,
  in_a_line,
  without_frames,
)
from pwl_jax.runtime.memory import Memory
from pwl_jax.runtime.serving import Serving
from pwl_jax.runtime.steps import Steps
from pwl_jax.runtime.upgrade import Upgrade

LOOK = 1.0  # Seconds between two looks whether somebody holds the model.


class Climber:
  """Pursues goals in the background.

  Args:
    serving: what it changes, and nobody else.
    memory: what there is at first.
    rate: bytes per second to read; None for as many as there are.
    retries: of a piece that cannot be read.
  """

  def __init__(
    self, serving: Serving, memory: Memory, *, rate: float | None, retries: int
  ):
    self._serving, self._memory = serving, memory
    self._steps = Steps(serving, rate=rate, retries=retries)
    self._wake = threading.Condition()
    self._next: Upgrade | None = None
    self._now: Upgrade | None = None
    self._closed = False
    self._thread: threading.Thread | None = None
    self._owner: Callable[[], Any] = lambda: True

  @property
  def reading_bytes(self) -> int:
    """Of what is read ahead of its need."""
    return self._steps.reading_bytes

  def serve(self, owner: Any):
    """The worker ends when the owner is gone, and nothing is left to do."""
    self._owner = weakref.ref(owner)

  def start(self, word: str):
    """The first composition, here and now."""
    self._memory.check(self._memory.manifest.validate(word))
    try:
      self._steps.take(word, Upgrade(word, "", "every"), self._memory)
    except Exception as error:
      raise _typed(error) from error

  def go(self, to: str | None, policy: str = "better") -> Upgrade:
    """Towards a composition, by default the best there is room for."""
    if to is not None:
      self._memory.manifest.validate(to)
    with self._wake:
      self._check_open()
      memory = self._memory
      if to is not None:
        memory.check(to)
      return self._submit(to or self._best(memory, policy), policy)

  def set_budget(self, nbytes: int | None) -> Upgrade:
    """From now on, and to the best that fits."""
    with self._wake:
      self._check_open()
      memory = self._memory._replace(budget=nbytes)
      target = self._best(memory, "better")
      self._memory = memory
      return self._submit(target, "better")

  def end(self):
    """Ends what is under way, and the thread with it."""
    with self._wake:
      self._closed = True
      for goal in (self._now, self._next):
        if goal is not None:
          goal.cancel("the model is closed")
      self._wake.notify_all()
    thread = self._thread
    if thread and thread is not threading.current_thread():
      thread.join()

  def _check_open(self):
    if self._closed:
      raise Closed()

  def _best(self, memory: Memory, policy: str) -> str:
    """The first of the candidates that there is a way to."""
    present, route = self._serving.composition, _router(memory)
    choices = memory.choices(present)
    reached = (
      word
      for word in choices
      if route(present, word, policy=policy) is not None
    )
    return next(reached, choices[0])

  def _submit(self, word: str, policy: str) -> Upgrade:
    """The goal from now on; the one before it ends where it is."""
    goal = Upgrade(word, self._serving.composition, policy)
    reason = f"{word} was asked for instead"
    if self._now is not None:
      self._now.cancel(reason)
    if self._next is not None:
      self._next.end(Cancelled(reason))
    self._next = goal
    if self._thread is None or not self._thread.is_alive():
      self._thread = background.start("loader", self._work)
      _WORKING.add(self)
    self._wake.notify_all()
    return goal

  def _work(self):
    while (goal := self._wait_for_goal()) is not None:
      self._do(goal)
      del goal  # Its error would keep what it was about.

  def _wait_for_goal(self) -> Upgrade | None:
    """The next one; None where there will be none any more.

    That nobody holds the model is looked for now and then: to be told of it
    would be in the middle of anything, where no lock may be taken.
    """
    with self._wake:
      self._now = None
      while self._next is None and not self._closed and self._owner():
        self._wake.wait(LOOK)
      goal, self._next = self._next, None
      if self._closed and goal is not None:
        goal.end(Cancelled("the model is closed"))
        goal = None
      if goal is None:
        self._closed = True
      self._now = goal
      return goal

  def _do(self, goal: Upgrade):
    memory = self._memory
    error = self._attempt(goal, memory)
    if error is not None:
      self._retreat(error, memory)
    goal.end(error)

  def _attempt(self, goal: Upgrade, memory: Memory) -> RuntimeFailure | None:
    """Pursues it; what went wrong, if it did."""
    try:
      self._pursue(goal, memory)
    except Exception as error:
      goal.cancel("it ended early")  # With what is read ahead for it.
      self._steps.stop()
      found = without_frames(_typed(error))
      kind = "cancelled" if isinstance(found, Cancelled) else "failed"
      self._serving.tell(kind, str(found))
      return found
    finally:
      self._steps.shed(memory)
    return None

  def _pursue(self, goal: Upgrade, memory: Memory):
    present = self._serving.composition
    way = _router(memory)(present, goal.target, policy=goal.policy)
    if way is None:
      raise BudgetExceeded(
        f"the way from {present} to {goal.target} needs more than one unit "
        f"beyond the budget of {memory.budget:,} bytes; give more, or go by "
        'smaller steps with policy="every"'
      )
    goal.begin(present, self._steps.bytes_to_read(way, memory))
    for word, following in itertools.zip_longest(way, way[1:]):
      self._steps.take(word, goal, memory, following)
      goal.reached(word)
      self._steps.shed(memory)

  def _retreat(self, error: RuntimeFailure, memory: Memory):
    """To what can be loaded, where what is served exceeds the budget."""
    broken = {getattr(error, "piece", "")}
    present, route = self._serving.composition, _router(memory)
    for word in () if memory.fits(present) else memory.candidates(present):
      way = route(present, word, policy="every") or []
      if broken & {*self._steps.to_load(way, memory)}:
        continue
      with self._wake:
        if self._next is not None or self._closed:
          return
        self._now = Upgrade(word, present, "every")
      found = self._attempt(self._now, memory)
      if not isinstance(found, LoadFailed):
        return
      broken.add(found.piece)
      present = self._serving.composition


def _router(memory: Memory) -> Callable[..., list[str] | None]:
  """`routes.route` of (present, target, policy=), in this memory."""
  manifest = memory.manifest
  return functools.partial(
    routes.route,
    order=routes.loading_order(manifest.ladder, manifest.num_units),
    accuracy=routes.accuracies(manifest),
    crosses=memory.crosses,
  )


def _typed(error: Exception) -> RuntimeFailure:
  """Whatever comes out of reading, compiling and running, as one of ours."""
  if isinstance(error, RuntimeFailure):
    return error
  found = LoadFailed(f"{type(error).__name__}: {in_a_line(error)}")
  found.__cause__ = error
  return found


_WORKING: "weakref.WeakSet[Climber]" = weakref.WeakSet()


@atexit.register
def _end_all():
  """Before `background` waits for their threads."""
  for climber in list(_WORKING):
    climber.end()
