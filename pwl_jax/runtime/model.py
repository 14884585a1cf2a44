"""The model that serves: it answers at once, and gets better while it does.

A request takes the present snapshot and keeps it; a change builds the next one
beside it, warms it, and publishes it by one assignment. So no request waits
for a change, fails by one, or is answered by half of one.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.method.composition import STUDENT
from pwl_jax.runtime import routes
from pwl_jax.runtime.climber import Climber
from pwl_jax.runtime.events import Event
from pwl_jax.runtime.executables import Cache, default_folder
from pwl_jax.runtime.memory import Memory
from pwl_jax.runtime.requests import Examples
from pwl_jax.runtime.serving import Serving
from pwl_jax.runtime.snapshot import Snapshot
from pwl_jax.runtime.upgrade import Upgrade


class Model:
  """Serves a bundle; see `open_model`. Every method may be called anywhere."""

  def __init__(self, serving: Serving, climber: Climber):
    self._serving, self._climber = serving, climber
    climber.serve(self)

  @property
  def manifest(self) -> Manifest:
    return self._serving.manifest

  def __call__(
    self, examples: Examples, *, sample_rate: int | None = None
  ) -> np.ndarray:
    """Images, texts or sounds -> float32[b, classes] by what is served now.

    Images are uint8[b, h, w, c]; where the networks were trained on images of
    many sizes, they may have other sizes, or be a list of several. Texts are a
    list of strings; sounds are int16[b, n], or a list of any lengths, or of
    numbers from -1 to 1. Where `sample_rate` is given, it has to be that of
    the bundle: sounds are not resampled.
    """
    return self._serving.snapshot(examples, sample_rate=sample_rate)

  @contextlib.contextmanager
  def pinned(self) -> Iterator[Snapshot]:
    """One snapshot for several calls, whatever happens meanwhile."""
    yield self._serving.snapshot

  @property
  def composition(self) -> str:
    return self._serving.snapshot.composition

  @property
  def accuracy(self) -> float | None:
    """Measured on test examples, or on held-out ones; None if it was not."""
    found = self.manifest.compositions.get(self.composition)
    if found is None:
      return None
    return found.valid if found.test is None else found.test

  @property
  def class_names(self) -> tuple[str, ...]:
    """In the order of the logits; () if the bundle has none."""
    return self.manifest.class_names

  @property
  def resident_bytes(self) -> int:
    """Of all weights in memory: served, kept for later, or being read."""
    return self._serving.holdings.nbytes + self._climber.reading_bytes

  @property
  def events(self) -> tuple[Event, ...]:
    """What happened since it was opened, the oldest first."""
    return self._serving.events.all()

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
    return self._climber.go(to, policy)

  def downgrade(self, to: str | None = None) -> Upgrade:
    """Goes back, by default to the student; at once if that was kept."""
    student = STUDENT * self.manifest.num_units
    return self._climber.go(student if to is None else to)

  def budget(self, nbytes: int | None) -> Upgrade:
    """What its weights may take from now on; None for as much as they like.

    Goes to the best composition that fits, up or down: the teacher, or else
    what answered best on held-out examples.
    """
    if nbytes is not None:
      _check_whole("budget", nbytes, 1)
    return self._climber.set_budget(None if nbytes is None else int(nbytes))

  def close(self):
    """Ends what is under way, and lets go of everything."""
    self._climber.end()
    self._serving.close()

  def __enter__(self) -> "Model":
    return self

  def __exit__(self, *error):
    self.close()


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
    keep_student: whether its weights stay in memory for an instant downgrade,
      as part of the budget; None keeps them where that fits.
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
  _check_whole("retries", retries, 0)
  if isinstance(batch_sizes, int):
    raise ValueError(f"batch_sizes is {batch_sizes}; give a list, such as [1]")
  for size in batch_sizes:
    _check_whole("a batch size", size, 1)
  if budget is not None:
    _check_whole("budget", budget, 1)
  if max_bytes_per_second is not None:
    check_range("max_bytes_per_second", max_bytes_per_second, 1)
  if keep_student not in (None, True, False):
    raise ValueError(
      f"keep_student is {keep_student!r}; give True, False, None"
    )
  if device is not None and not isinstance(device, jax.Device):
    raise ValueError(f"device is {device!r}; give one of jax.devices()")
  folder = default_folder()
  if cache_dir is not None:
    folder = pathlib.Path(cache_dir).expanduser()
  bundle = open_bundle(directory)
  cache = Cache(folder)
  serving = Serving(
    bundle,
    device=device or jax.devices()[0],
    cache=cache,
    batch_sizes=batch_sizes,
  )
  if cache.refused:
    serving.tell("uncached", f"nothing compiled is kept: {cache.refused}")
  climber = Climber(
    serving,
    Memory(bundle.manifest, budget, keep_student),
    rate=max_bytes_per_second,
    retries=retries,
  )
  student = STUDENT * bundle.manifest.num_units
  climber.start(student if start is None else start)
  return Model(serving, climber)


def _check_whole(name: str, value: int, low: int):
  check_range(name, value, low)
  if value != int(value) or isinstance(value, bool):
    raise ValueError(f"{name} is {value}; give a whole number")
