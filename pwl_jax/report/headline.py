"""The few numbers on top of a page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pwl_jax.report import findings, phrases
from pwl_jax.report.results import Results


class Figure(NamedTuple):
  """One of the few numbers on top."""

  label: str
  value: str
  note: str


def key_figures(results: Results) -> list[Figure]:
  """Of the ladder; of the networks where there is none."""
  climb = findings.main_climb(results)
  where = findings.SPLIT_NAMES[findings.shown_split(results)]
  if not climb:
    scores = {
      name: findings.score_of(results, results["networks"][name])
      for name in findings.network_names(results)
    }
    note = f"of the {where} answered right"
    return [
      Figure(phrases.NAMES[name], _top1(score), note)
      for name, score in scores.items()
    ]
  scores = findings.shown_scores(results)
  figures = [
    Figure("first answer", _top1(climb.scores[0]), _first_note(results)),
    Figure("teacher", _top1(climb.scores[-1]), "when all units are loaded"),
    _worst_figure(climb),
    Figure(
      "while loading",
      phrases.percent(
        climb.ladder[findings.shown_split(results)]["mean_accuracy"]
      ),
      "on average over the teacher's bytes, in the "
      f"{climb.name} order; a teacher alone is silent until its last byte",
    ),
  ]
  if len(scores) > 2:
    worst, _ = findings.extremes(scores)
    others = f" and {len(worst) - 1} more" if len(worst) > 1 else ""
    note = f"{worst[0]}{others}, of {len(scores)} measured"
    figures.append(Figure("worst composition", _top1(scores[worst[0]]), note))
  return figures


def _top1(score: Mapping[str, Any]) -> str:
  return phrases.percent(score["top1"])


def _first_note(results: Results) -> str:
  sizes = findings.networks_of(results, "bytes")
  student, teacher = sizes.get("student"), sizes.get("teacher")
  if not student or not teacher or student >= teacher:
    return "from the student"
  ratio = phrases.times(teacher / student)
  return (
    f"from a student {f'{ratio} times' if ratio else 'a little'} smaller: "
    f"{phrases.size(student)}, not {phrases.size(teacher)}"
  )


def _worst_figure(climb: findings.Climb) -> Figure:
  worst = min(climb.steps)
  if worst >= 0:
    note = f"no loss from rung to rung in the {climb.name} order"
    return Figure("worst step", "none", note)
  i = climb.steps.index(worst)
  before, after = climb.ladder["rungs"][i : i + 2]
  note = f"points from {before} to {after}, in the {climb.name} order"
  return Figure("worst step", phrases.signed(worst), note)
