"""The loop of a stage: steps, reports, evaluations, checkpoints.

Nothing is fetched from the device between two reports, so that the device
never waits for the host.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.training.checkpoints import RunCheckpoints
from pwl_jax.training.interruption import Interrupted, Request
from pwl_jax.training.reporting import Reporter
from pwl_jax.training.step import TrainState


class Rhythm(NamedTuple):
  """After how many steps what happens."""

  num_steps: int
  per_call: int = 1
  log_every: int = 50
  evaluate_every: int = 1000  # Also the checkpoints' rhythm.

  def times(self, step: int) -> int:
    """Steps of the dispatch that starts here.

    A run that goes on where an epoch is under way comes back into step.
    """
    return self.per_call if step % self.per_call == 0 else 1


class Diverged(Exception):
  """Something is not a number any more."""


@dataclasses.dataclass(frozen=True)
class Loop:
  """Everything a run is made of but its state.

  `step_at` gives (first step, how many) -> the function that makes them,
  `arrays_at` a step's data, `evaluate` a state's metrics of held-out data, and
  `whole` a state's arrays as those of all processes.
  """

  step_at: Callable[[int, int], Callable]
  arrays_at: Callable[[int], Any]
  whole: Callable[[TrainState], TrainState]
  evaluate: Callable[[TrainState], Mapping[str, float]]
  rhythm: Rhythm
  checkpoints: RunCheckpoints
  reporter: Reporter
  request: Request

  def run(self, state: TrainState, frozen: Any, key: jax.Array) -> TrainState:
    """Makes the steps that are left; raises `Interrupted` once it has saved.

    The state is donated; `frozen` is what the loss needs and does not train,
    and `key` the root of all randomness.
    """
    rhythm, step, first = self.rhythm, int(state.step), True
    self.request.check(f"before step {step + 1}")
    while step < rhythm.num_steps:
      times = rhythm.times(step)
      run = self.step_at(step, times)
      state, metrics = run(state, frozen, self.arrays_at(step), key)
      before, step = step, step + times
      if first:
        jax.block_until_ready(state.step)  # No rate includes the compiling.
        self.reporter.start(step)
        first = False
      last = step == rhythm.num_steps
      stop = self.request.reached() and not last
      evaluating = last or _passes(before, step, rhythm.evaluate_every)
      if stop or evaluating or _passes(before, step, rhythm.log_every):
        self._report(step, metrics)
      if evaluating or stop:
        state = self.whole(state)
      if evaluating:
        self._evaluate(step, state)
      elif stop:
        self._save(step, state)
      if stop:
        self.checkpoints.wait()
        raise Interrupted(f"{self.request.name} at step {step}")
    self.checkpoints.wait()
    return state

  def _report(self, step: int, metrics: Mapping[str, jax.Array]):
    found = {k: float(v) for k, v in jax.device_get(metrics).items()}
    self._check(step, found)
    self.reporter.log(step, found)

  def _evaluate(self, step: int, state: TrainState):
    with self.reporter.pause():
      found = self.evaluate(state)
      self._check(step, {f"held-out {k}": v for k, v in found.items()})
      self.reporter.evaluation(step, found)
      self._save(step, state, accuracy=found["accuracy"])

  def _save(self, step: int, state: TrainState, **metrics):
    """A state that is not finite is never saved: it could not be left."""
    if not _all_finite(state):
      raise self._diverged("some parameters or running averages", step, "")
    self.checkpoints.save(step, state, **metrics)

  def _check(self, step: int, metrics: Mapping[str, float]):
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
      raise self._diverged(", ".join(bad), step, f": {dict(metrics)}")

  def _diverged(self, what: str, step: int, details: str) -> Diverged:
    self.checkpoints.wait()
    steps = self.checkpoints.steps()
    saved = (
      f"The last good checkpoint is that of step {steps[-1]}"
      if steps
      else "There is no checkpoint yet"
    )
    return Diverged(
      f"{what} not finite at step {step}{details}. {saved}. Try a lower "
      "learning rate, gradient clipping, or more warm-up, in another workdir"
    )


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
  floats = [
    leaf
    for leaf in jax.tree.leaves(tree)
    if jnp.issubdtype(leaf.dtype, jnp.floating)
  ]
  return jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]).all()


def _passes(before: int, after: int, every: int) -> bool:
  return after // every > before // every
