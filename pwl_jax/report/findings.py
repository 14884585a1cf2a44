"""What the numbers say, in sentences that are true of any numbers.

Test examples are what is reported; held-out ones decided on the ladder. Where
nothing was measured on test examples, held-out ones stand in and are named.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.method import composition as compositions
from pwl_jax.report import phrases
from pwl_jax.report.results import LADDERS, NETWORKS, Results

SPLIT_NAMES = {"test": "test examples", "valid": "held-out examples"}


class Climb(NamedTuple):
  """A ladder and how well its rungs answer."""

  name: str
  ladder: Mapping[str, Any]
  scores: list[Mapping[str, Any]]  # Of the rungs, on the split that is shown.

  @property
  def steps(self) -> list[float]:
    """From rung to rung; what is below zero is lost."""
    values = [score["top1"] for score in self.scores]
    return [after - before for before, after in itertools.pairwise(values)]


def shown_split(results: Results) -> str:
  measured = [*results["networks"].values(), *results["compositions"].values()]
  return "test" if any(found["test"] for found in measured) else "valid"


def score_of(results: Results, measured: Mapping[str, Any]) -> Any:
  """The score that is shown of a network or a composition, or None."""
  return measured[shown_split(results)]


def shown_scores(results: Results) -> dict[str, Any]:
  """composition -> score, the student first."""
  scores = {
    word: score_of(results, found)
    for word, found in results["compositions"].items()
  }
  words = sorted(scores, key=lambda word: (teacher_units(word), order_of(word)))
  return {word: scores[word] for word in words if scores[word]}


def order_of(word: str) -> str:
  """Sorts compositions so that prefixes come first and suffixes last."""
  return "".join("01"[letter == compositions.STUDENT] for letter in word)


def teacher_units(word: str) -> int:
  return word.count(compositions.TEACHER)


def climbs(results: Results) -> dict[str, Climb]:
  """The ladders whose rungs were all measured, the planned one first."""
  scores = shown_scores(results)
  return {
    name: Climb(name, ladder, [scores[word] for word in ladder["rungs"]])
    for name in LADDERS
    if (ladder := results["ladders"].get(name))
    and all(word in scores for word in ladder["rungs"])
  }


def main_climb(results: Results) -> Climb | None:
  """The planned ladder, or another where there is none."""
  return next(iter(climbs(results).values()), None)


def network_names(results: Results) -> list[str]:
  return [
    name
    for name in NETWORKS
    if name in results["networks"]
    and score_of(results, results["networks"][name])
  ]


def networks_of(results: Results, key: str) -> dict[str, Any]:
  return {n: found.get(key) for n, found in results["networks"].items()}


def of_climb(climb: Climb) -> str:
  """It goes from 93.59 % to 98.89 % without a step down."""
  first, last = (climb.scores[i]["top1"] for i in (0, -1))
  if not any(climb.steps):
    return f"is always {phrases.percent(first)}"
  return (
    f"goes from {phrases.percent(first)} to {phrases.percent(last)}, "
    + of_worst_step(climb)
  )


def of_worst_step(climb: Climb) -> str:
  worst = min(climb.steps)
  if worst >= 0:
    return "never falling on the way"
  down = sum(step < 0 for step in climb.steps)
  often = {1: "once", 2: "twice"}.get(down, f"{down} times")
  most = "by" if down == 1 else "by at most"
  return f"falling {often}, {most} {phrases.points(worst)}"


def of_lattice(scores: Mapping[str, Any]) -> str:
  """16 compositions: STST answers worst, 88.10 %, and 2 best, 98.89 %."""
  worst, best = extremes(scores)
  low, high = (scores[words[0]]["top1"] for words in (worst, best))
  if low == high:
    return f"All {len(scores)} compositions answer {phrases.percent(low)} right"
  verb = "answers" if len(worst) == 1 else "answer"
  return (
    f"{len(scores)} compositions: {_named(worst)} {verb} worst, "
    f"{phrases.percent(low)}, and {_named(best)} best, {phrases.percent(high)}"
  )


def _named(words: list[str]) -> str:
  return words[0] if len(words) == 1 else str(len(words))


def extremes(scores: Mapping[str, Any]) -> tuple[list[str], list[str]]:
  """All that answer worst, and all that answer best."""
  values = {word: score["top1"] for word, score in scores.items()}
  low, high = min(values.values()), max(values.values())
  return (
    [word for word, value in values.items() if value == low],
    [word for word, value in values.items() if value == high],
  )


def of_first_answer(results: Results) -> str | None:
  """What is loaded before the first answer, beside the whole teacher."""
  sizes = networks_of(results, "bytes")
  student, teacher = sizes.get("student"), sizes.get("teacher")
  if not student or not teacher:
    return None
  if student >= teacher:
    return (
      f"The student takes {phrases.size(student)}, no less than the "
      f"teacher's {phrases.size(teacher)}"
    )
  ratio = phrases.times(teacher / student)
  return (
    f"The first answer needs {phrases.size(student)}, the teacher alone "
    f"{phrases.size(teacher)}: "
    + (f"{ratio} times as much" if ratio else "little more")
  )


def order_in_words(order: Sequence[int]) -> str:
  return ", ".join(map(str, order))


def sentences(results: Results) -> list[str]:
  """Two or three, for the end of a run: the ladder, its worst step, the use."""
  climb = main_climb(results)
  if not climb:
    return []
  where = SPLIT_NAMES[shown_split(results)]
  decided = ", decided on held-out examples" if climb.name == "planned" else ""
  found = [
    f"The {climb.name} order loads unit {order_in_words(climb.ladder['order'])}"
    f"{decided}: on {where} accuracy {of_climb(climb)}."
  ]
  mean = climb.ladder[shown_split(results)]["mean_accuracy"]
  found.append(
    f"While the teacher's bytes arrive, {phrases.percent(mean)} are answered "
    f"right on average{_compared(results, climb)}."
  )
  first = of_first_answer(results)
  return [*found, f"{first}."] if first else found


def _compared(results: Results, climb: Climb) -> str:
  split = shown_split(results)
  others = [
    f"{name} order {phrases.percent(other.ladder[split]['mean_accuracy'])}"
    for name, other in climbs(results).items()
    if name != climb.name and other.ladder["order"] != climb.ladder["order"]
  ]
  return f" ({', '.join(others)})" if others else ""
