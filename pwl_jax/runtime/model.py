"""The model that serves: it answers at once, and gets better while it does.

A request takes the present snapshot and keeps it; a change builds the next one
beside it, warms it, and publishes it by one assignment. So no request waits
for a change, fails by one, or is answered by half of one.
"""

import contextlib
import functools
import pathlib
import time
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from pwl_jax.bundle.manifest import DECODE, ENCODE, RUN
from pwl_jax.bundle.reading import Bundle, open_bundle
from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.method.composition import validate
from pwl_jax.runtime import routes
from pwl_jax.runtime.climber import Climber
from pwl_jax.runtime.errors import BudgetExceeded, Closed
from pwl_jax.runtime.events import Event, EventLog
from pwl_jax.runtime.executables import Cache, default_folder
from pwl_jax.runtime.holdings import Holdings, Pace
from pwl_jax.runtime.images import Images
from pwl_jax.runtime.programs import Program
from pwl_jax.runtime.snapshot import Snapshot, Step, bucket
from pwl_jax.runtime.upgrade import Upgrade


class Model:
  """Serves a bundle; see `open_model`. Every method may be called anywhere."""

  def __init__(
    self,
    bundle: Bundle,
    *,
    device: jax.Device,
    keep_student: bool | None,
    budget: int | None,
    max_bytes_per_second: float | None,
    retries: int,
    cache: Cache,
    batch_sizes: Sequence[int],
    start: str | None,
  ):
    self._bundle, self._device, self._cache = bundle, device, cache
    self._events = EventLog()
    self._seen = {bucket(size) for size in batch_sizes}
    self._programs: dict[str, Program] = {}
    self._holdings = Holdings(bundle, device)
    self._snapshot: Snapshot | None = None
    self._climber = Climber(
      self.manifest,
      self._holdings,
      build=self._build,
      serve=self._serve,
      present=lambda: self._snapshot.composition,
      tell=self._tell,
      rate=max_bytes_per_second,
      retries=retries,
    )
    self._climber.budget, self._climber.keep_student = budget, keep_student
    first = start or "S" * self.manifest.num_units
    self._check_fits(first)
    pace = Pace(max_bytes_per_second, lambda late: late and time.sleep(late))
    for piece in self.manifest.pieces_of(first):
      self._holdings.load(piece, pace)
    snapshot = self._build(first)
    snapshot.warm()
    self._snapshot = snapshot
    self._tell("opened", f"{bundle.directory}, {first}")

  @property
  def manifest(self):
    return self._bundle.manifest

  def __call__(self, images: Images) -> np.ndarray:
    """uint8[b, h, w, c] -> float32[b, classes] by what is served now.

    Where the networks were trained on images of many sizes, these may have
    other sizes too, or be a list of images of several.
    """
    return self._present()(images)

  @contextlib.contextmanager
  def pinned(self) -> Iterator[Snapshot]:
    """One snapshot for several calls, whatever happens meanwhile."""
    yield self._present()

  @property
  def composition(self) -> str:
    return self._present().composition

  @property
  def accuracy(self) -> float | None:
    """Measured on test examples, or on held-out ones; None if it was not."""
    found = self.manifest.compositions.get(self.composition)
    if found is None:
      return None
    return found.valid if found.test is None else found.test

  @property
  def resident_bytes(self) -> int:
    """Of all weights in memory, those that are kept for later included."""
    return self._holdings.nbytes

  @property
  def events(self) -> tuple[Event, ...]:
    """What happened since it was opened, the oldest first."""
    return self._events.all()

  def upgrade(
    self, to: str | None = None, *, policy: str = "better"
  ) -> Upgrade:
    """Goes towards the teacher, in the background.

    Args:
      to: the composition to reach; by default the teacher, or the best one
        that fits the budget.
      policy: "better" visits nothing worse than what is served by then;
        "every" swaps one unit at a time.
    """
    check_choice("policy", policy, routes.POLICIES)
    budget = self._climber.budget
    if to is None:
      to = "T" * self.manifest.num_units
      if budget is not None:
        to = self._best_within(budget)
    return self._go(to, policy)

  def downgrade(self, to: str | None = None) -> Upgrade:
    """Goes back, by default to the student; at once if that was kept."""
    return self._go(to or "S" * self.manifest.num_units, "better")

  def budget(self, nbytes: int | None) -> Upgrade:
    """What its weights may take from now on; None for as much as they like.

    Goes to the best composition that fits, up or down.
    """
    if nbytes is not None:
      check_range("budget", nbytes, 1)
    to = self._best_within(nbytes)
    self._climber.budget = nbytes
    return self._go(to, "better")

  def close(self):
    """Ends what is under way, and lets go of everything."""
    self._climber.close()
    self._snapshot = None
    self._holdings.drop(self._holdings.names)
    self._events.add("closed", "", "", 0)

  def __enter__(self) -> "Model":
    return self

  def __exit__(self, *error):
    self.close()

  def _present(self) -> Snapshot:
    snapshot = self._snapshot
    if snapshot is None:
      raise Closed("the model is closed; open the bundle again")
    return snapshot

  def _go(self, to: str, policy: str) -> Upgrade:
    self._check_fits(to)
    goal = Upgrade(to, self.composition, policy)
    self._climber.submit(goal)
    return goal

  def _check_fits(self, word: str):
    validate(word, self.manifest.num_units)
    budget, nbytes = self._climber.budget, self._size(word)
    if budget is not None and nbytes > budget:
      raise BudgetExceeded(
        f"{word} takes {nbytes:,} bytes, and the budget is {budget:,}; "
        f"the best that fits is {self._best_within(budget)}"
      )

  def _size(self, word: str) -> int:
    return sum(map(self._holdings.size, self.manifest.pieces_of(word)))

  def _best_within(self, budget: int | None) -> str:
    accuracy = routes.accuracies(self.manifest)
    sizes = {word: self._size(word) for word in accuracy}
    most = max(sizes.values()) if budget is None else budget
    found = routes.best_within(accuracy, sizes, most)
    if found is None:
      least = min(sizes, key=sizes.get)
      raise BudgetExceeded(
        f"no composition fits {budget:,} bytes; the smallest, {least}, takes "
        f"{sizes[least]:,}"
      )
    return found

  def _program(self, piece: str, role: str) -> Program:
    """Units that do the same have one program, which is compiled once."""
    digest = self.manifest.pieces[piece].programs[role]
    if digest not in self._programs:
      self._programs[digest] = Program(
        functools.partial(self._bundle.program, piece, role),
        digest,
        what=f"the {role} program of {piece}, written with jax "
        f"{self.manifest.versions['jax']},",
        device=self._device,
        cache=self._cache,
      )
    return self._programs[digest]

  def _build(self, word: str) -> Snapshot:
    """Of pieces that are held."""
    steps = []
    calibrated = self.manifest.compositions.get(word)
    for i, letter in enumerate(word):
      converter = self.manifest.boundary(i - 1) if i else None
      if converter and letter != word[i - 1]:
        role = DECODE if letter == "T" else ENCODE
        steps.append(self._step(converter, role, self._holdings[converter]))
      unit = self.manifest.unit(letter, i)
      leaves = self._holdings[unit]
      node = self.manifest.node(word[: i + 1])
      if calibrated and calibrated.calibrated and node:
        leaves = leaves | self._holdings[node]
      steps.append(self._step(unit, RUN, leaves))
    return Snapshot(
      word,
      steps,
      input=self.manifest.input,
      device=self._device,
      seen=self._seen,
    )

  def _step(self, piece: str, role: str, leaves) -> Step:
    names = tuple(sorted(leaves))
    arrays = tuple(leaves[name] for name in names)
    return Step(self._program(piece, role), names, arrays)

  def _serve(self, snapshot: Snapshot):
    self._snapshot = snapshot
    self._tell("served", snapshot.composition)

  def _tell(self, kind: str, text: str):
    serving = self._snapshot
    composition = serving.composition if serving else ""
    self._events.add(kind, text, composition, self.resident_bytes)


def open_model(
  directory: pathlib.Path | str,
  *,
  device: jax.Device | None = None,
  keep_student: bool | None = None,
  budget: int | None = None,
  max_bytes_per_second: float | None = None,
  retries: int = 3,
  cache_dir: pathlib.Path | str | None = None,
  batch_sizes: Sequence[int] = (1,),
  start: str | None = None,
) -> Model:
  """Opens a bundle; returns when the student answers.

  Args:
    directory: of the bundle.
    device: to serve on; jax's first by default.
    keep_student: whether its weights stay in memory for an instant downgrade;
      None keeps them where that fits the budget.
    budget: bytes that the weights may take; None for as much as they like.
    max_bytes_per_second: reads no faster than that, so that disk and cores are
      left to the requests.
    retries: of a piece that cannot be read, with longer and longer breaks.
    cache_dir: for compiled programs; by default the user's own. It has to
      belong to this user alone.
    batch_sizes: to be ready for before the first request; others are compiled
      when they come.
    start: the first composition that is served; the student by default.
  """
  folder = pathlib.Path(cache_dir) if cache_dir else default_folder()
  return Model(
    open_bundle(directory),
    device=device or jax.devices()[0],
    keep_student=keep_student,
    budget=budget,
    max_bytes_per_second=max_bytes_per_second,
    retries=retries,
    cache=Cache(folder),
    batch_sizes=batch_sizes,
    start=start,
  )
