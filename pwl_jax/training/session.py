"""What all jobs of one command share: data, machine, seed, who is told."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.markup import escape

from pwl_jax.bundle.inputs import ImageInput, Input
from pwl_jax.data.batches import MemoryFeed, StreamFeed, epoch_order, make_feed
from pwl_jax.data.dataset import Dataset, Split
from pwl_jax.data.inputs import make_prepare, to_network
from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.training import parallel
from pwl_jax.training.accuracy import Batches
from pwl_jax.training.interruption import Request
from pwl_jax.training.parallel import Devices


class Machine(NamedTuple):
  """Where it is trained, and how it is reported; changes no result."""

  devices: Devices  # Of all processes.
  parallel: str = "pmap"
  steps_per_call: int = 1
  log_every: int = 50  # Steps.
  evaluate_every: int = 5  # Epochs; also the rhythm of checkpoints.
  evaluation_batch: int = 500
  profile: int = 0  # Dispatches to trace.

  def check(self):
    """Raises where a number or a name makes no sense."""
    check_choice("parallel", self.parallel, parallel.WRAPPERS)
    for name in (
      "steps_per_call", "log_every", "evaluate_every", "evaluation_batch"
    ):  # fmt: skip
      check_range(name, getattr(self, name), 1)
    check_range("profile", self.profile, 0)


@dataclasses.dataclass(frozen=True)
class Data:
  """A set, and how its examples become what a network is fed."""

  dataset: Dataset
  input: Input  # What an example is, and what it is normalised by.
  changes: dict[str, Any]  # Keywords of `augment`, and `mixup_alpha`.

  def normalise(self, raw: jax.Array) -> jax.Array:
    return to_network(raw, self.input)

  def training_examples(self, count: int, *, seed: int) -> Split:
    """Some, in the order of the set: those that an epoch begins with."""
    train = self.dataset.train
    rows = epoch_order(len(train), seed=seed, epoch=0)[:count]
    return train.take(np.sort(rows))

  def check(self):
    """Raises where numbers make no sense, or do not fit the examples."""
    for name, value in self.changes.items():
      check_range(f"augment.{name}", value, 0)
    if not isinstance(self.input, ImageInput):
      return
    channels = self.dataset.input_shape[-1]
    for name in ("mean", "deviation"):
      values = getattr(self.input, name)
      if len(values) != channels or not np.isfinite(values).all():
        raise ValueError(
          f"data.{name} is {tuple(values)}, but the images have {channels} "
          f"channels; give {channels} numbers, or () for both mean and "
          "deviation to measure them"
        )
    if min(self.input.deviation) <= 0:
      raise ValueError(
        f"data.deviation is {tuple(self.input.deviation)}; all have to be "
        "above 0"
      )

  def prepare(self, label_smoothing: float) -> Callable:
    return make_prepare(
      self.input,
      num_classes=self.dataset.num_classes,
      label_smoothing=label_smoothing,
      **self.changes,
    )


@dataclasses.dataclass(frozen=True)
class Session:
  """Plain values; jobs are run with it, see `running.py`."""

  data: Data
  machine: Machine
  seed: int
  console: Console
  request: Request
  report: Callable[[str], None] | None = None  # Prints by default.

  def say(self, text: str):
    if self.report is None:
      self.console.print(escape(text), soft_wrap=True)
    else:
      self.report(text)

  def feed(self, batch_size: int) -> MemoryFeed | StreamFeed:
    devices = self.machine.devices
    return make_feed(
      self.data.dataset.train,
      batch_size=batch_size,
      seed=self.seed,
      replicate=lambda tree: parallel.replicate(tree, devices),
      divide=lambda tree: parallel.split(tree, devices),
      share=(jax.process_index(), jax.process_count()),
    )

  def evaluation(self, split: Any, batch_size: int | None = None) -> Batches:
    machine = self.machine
    return Batches(
      split,
      batch_size=batch_size or machine.evaluation_batch,
      devices=machine.devices,
    )
