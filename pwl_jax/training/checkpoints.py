"""The checkpoints of a run that goes on, with Orbax's manager."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from pwl_jax.training.distributed import is_first, wait_for_all
from pwl_jax.training.trees import Damaged, digests, load, to_save


class RunCheckpoints:
  """The checkpoints of a run that goes on: the latest two and the best."""

  def __init__(
    self,
    directory: pathlib.Path,
    *,
    notes: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
  ):
    """`notes` lie in every checkpoint, for who finds one."""
    self._directory, self._report = directory, report
    self._notes = dict(notes or {})
    policies = checkpoint_managers
    best = policies.BestN(
      get_metric_fn=_accuracy, n=1, keep_checkpoints_without_metrics=False
    )
    self._manager = ocp.CheckpointManager(
      directory.absolute(),
      options=ocp.CheckpointManagerOptions(
        # The policy decides what is kept; without best_fn the metrics would
        # not be written, and forgotten by the next process.
        best_fn=_accuracy,
        preservation_policy=policies.AnyPreservationPolicy(
          [policies.LatestN(2), best]
        ),
      ),
    )

  def save(self, step: int, state: Any, *, accuracy: float | None = None):
    """Copies the state now and writes it in the background."""
    if step in self._manager.all_steps():
      return
    self._manager.save(
      step,
      args=to_save(state, digests(state), {**self._notes, "step": step}),
      metrics=None if accuracy is None else {"accuracy": accuracy},
    )

  def wait(self):
    self._manager.wait_until_finished()

  def close(self):
    self._manager.close()

  def steps(self) -> list[int]:
    return sorted(self._manager.all_steps())

  def restore_latest(self, abstract: Any) -> Any | None:
    """The latest state that is whole, or None where there is no checkpoint."""
    return self._restore_first(self.steps()[::-1], abstract)

  def restore_best(self, abstract: Any) -> Any:
    """The state with the best held-out accuracy; of those that are whole."""
    steps = sorted(self.steps(), reverse=True)
    best = self._manager.best_step()
    steps.sort(key=lambda step: step != best)
    return self._restore_first(steps, abstract)

  def _restore_first(self, steps: Sequence[int], abstract: Any) -> Any | None:
    """One that is damaged is put aside for whoever wants to know why."""
    for step in steps:
      try:
        return self.restore(step, abstract)
      except Damaged as error:
        aside = self._put_aside(step)
        self._report(
          f"checkpoint {self._directory / str(step)} is damaged and cannot be "
          f"used: {error}. It is now {aside}; another one is tried"
        )
    if steps:
      raise Damaged(
        f"no checkpoint in {self._directory} can be used: steps {steps} are "
        "all damaged. The same command now starts this stage from its "
        "beginning"
      )
    return None

  def restore(self, step: int, abstract: Any) -> Any:
    return load(
      lambda args: self._manager.restore(step, args=args),
      abstract,
      self._directory / str(step),
    )

  def _put_aside(self, step: int) -> pathlib.Path:
    aside = self._directory.with_name("damaged") / str(step)
    while is_first() and aside.exists():
      aside = aside.with_name(f"{aside.name}-again")
    if is_first():
      aside.parent.mkdir(exist_ok=True)
      (self._directory / str(step)).rename(aside)
    wait_for_all(f"checkpoint {step} put aside")
    self._manager.reload()
    return aside


def _accuracy(metrics: dict[str, float]) -> float:
  return metrics["accuracy"]
