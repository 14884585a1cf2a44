"""What a swap network can do, and what makes it do better.

Every choice is made on held-out examples: which converters are fitted again,
which compositions get batch statistics of their own, which ladder is best.
The test examples are only reported on.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.evaluation.bench import Bench, Scores
from pwl_jax.evaluation.calibration import nodes_to_calibrate
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.evaluation.ladder import Ladder, best_ladder
from pwl_jax.evaluation.refit import Trial, keep_what_helps
from pwl_jax.evaluation.scores import check_finite
from pwl_jax.evaluation.tree import Statistics
from pwl_jax.evaluation.words import first_words, wishes
from pwl_jax.method.checks import check_range
from pwl_jax.method.network import Variables

SPLITS = ("valid", "test")
ROUNDS = 8  # Of asking for more compositions, where there are many units.


class Options(NamedTuple):
  """What is tried to make the compositions better."""

  calibration_images: int = 2048  # 0 leaves all batch statistics as they are.
  refit_images: int = 0  # 0 leaves the converters as they were trained.

  def check(self):
    """Raises where a number makes no sense."""
    for name, value in self._asdict().items():
      check_range(f"evaluation.{name}", value, 0)


class Measured(NamedTuple):
  """Scores by split and composition."""

  own: dict[str, Scores]  # Of all, on the networks' own batch statistics.
  better: dict[str, Scores]  # Of those that calibration helps, calibrated.
  statistics: Statistics  # Of those.
  tried: int  # How many were calibrated.

  def served(self, split: str) -> Scores:
    return self.own[split] | self.better[split]

  def accuracy(self, split: str) -> dict[str, float]:
    return {word: score.top1 for word, score in self.served(split).items()}

  def improvements(self, converters: Mapping[str, Any]) -> Improvements:
    """With the converters that it was measured with."""
    return Improvements(
      self.statistics, tuple(self.better["valid"]), converters
    )

  def __or__(self, more: "Measured") -> "Measured":
    return Measured(
      {split: self.own[split] | more.own[split] for split in SPLITS},
      {split: self.better[split] | more.better[split] for split in SPLITS},
      {**self.statistics, **more.statistics},
      self.tried + more.tried,
    )


class Found(NamedTuple):
  """All that is known in the end."""

  variables: Variables  # With the converters that were fitted again.
  trials: list[Trial]  # Of those.
  measured: Measured
  ladder: Ladder  # The best one, by the held-out scores.

  @property
  def improvements(self) -> Improvements:
    refitted = any(trial.kept for trial in self.trials)
    converters = self.variables["converters"] if refitted else {}
    return self.measured.improvements(converters)


def examine(
  bench: Bench,
  variables: Variables,
  unit_bytes: Sequence[int],
  options: Options,
) -> Found:
  """Improves, measures and plans; asks for more where that may help.

  `unit_bytes` are those of the teacher's units.
  """
  words = first_words(bench.swapnet.num_units)
  variables, trials = refit(bench, words, variables, options)
  measured, rounds = None, 0
  while words and rounds < ROUNDS:
    found = measure(bench, words, variables, options.calibration_images)
    measured = found if measured is None else measured | found
    words = wishes(measured.accuracy("valid"), unit_bytes)
    rounds += 1
  ladder = best_ladder(measured.accuracy("valid"), unit_bytes)
  return Found(variables, trials, measured, ladder)


def refit(
  bench: Bench, words: Sequence[str], variables: Variables, options: Options
) -> tuple[Variables, list[Trial]]:
  """The variables with the converters that are better fitted again.

  A unit behind another converter sees other features: whether it is better
  shows once its batch statistics fit them.
  """
  fitted = {}
  if options.refit_images:
    fitted = bench.refit(variables, options.refit_images)
  if not fitted:
    return variables, []

  def score(variables):
    return held_out(bench, words, variables, options.calibration_images).served

  return keep_what_helps(fitted, variables, score(variables), score)


class HeldOut(NamedTuple):
  """What the choice of the calibrated compositions is made on."""

  own: Scores  # Of all compositions.
  calibrated: Scores  # Of those with a switch; {} where nothing was calibrated.
  statistics: Statistics

  @property
  def better(self) -> list[str]:
    """Those that answer more examples right with statistics of their own."""
    return [
      word
      for word, score in self.calibrated.items()
      if score.top1 > self.own[word].top1 and math.isfinite(score.loss)
    ]

  @property
  def served(self) -> Scores:
    return self.own | {word: self.calibrated[word] for word in self.better}


def held_out(
  bench: Bench, words: Sequence[str], variables: Variables, examples: int
) -> HeldOut:
  own = bench.score("valid", words, variables)
  mixed = [word for word in words if len(set(word)) > 1]
  if not (examples and nodes_to_calibrate(bench.swapnet, mixed)):
    return HeldOut(own, {}, {})
  statistics = bench.calibrate(mixed, variables, examples)
  calibrated = bench.score("valid", mixed, variables, statistics)
  return HeldOut(own, calibrated, statistics)


def measure(
  bench: Bench, words: Sequence[str], variables: Variables, examples: int
) -> Measured:
  """Scores as they are; and calibrated, where held-out examples gain by it."""
  valid = held_out(bench, words, variables, examples)
  own = {"valid": valid.own, "test": bench.score("test", words, variables)}
  for split, scores in own.items():
    check_finite(scores, f"the swap network, on {split} examples,")
  calibrated = {"valid": valid.calibrated, "test": {}}
  if valid.better:
    mixed, statistics = list(valid.calibrated), valid.statistics
    calibrated["test"] = bench.score("test", mixed, variables, statistics)
  nodes = {word[: i + 1] for word in valid.better for i in range(len(word))}
  return Measured(
    own,
    {s: {word: calibrated[s][word] for word in valid.better} for s in SPLITS},
    {node: stats for node, stats in valid.statistics.items() if node in nodes},
    len(valid.calibrated),
  )
