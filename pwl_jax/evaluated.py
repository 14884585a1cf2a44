"""The stage that measures what the others made, and writes the report.

It takes whatever is there: without a teacher there are no compositions but
the student, and without a student nothing to compare it with. What it finds
belongs to exactly these results of the other stages, and is made anew when
one of them has changed.

  evaluate/  batch statistics and converters that make compositions better
  report/    what was measured, as numbers, pictures and a page
"""

import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from pwl_jax import results, trained, workdirs
from pwl_jax.context import Context
from pwl_jax.evaluation import improvements, numbers
from pwl_jax.evaluation.bench import Bench
from pwl_jax.evaluation.cost import measure_costs
from pwl_jax.evaluation.examine import SPLITS, Found, examine
from pwl_jax.evaluation.progress import make_watch
from pwl_jax.evaluation.scores import check_finite
from pwl_jax.evaluation.words import first_words
from pwl_jax.method import composition as compositions
from pwl_jax.method.checks import check_range
from pwl_jax.report import summary, write_report
from pwl_jax.report.results import read
from pwl_jax.report.run import REPORT, RESULTS
from pwl_jax.report.writing import PAGE
from pwl_jax.training import distributed
from pwl_jax.training.artefacts import is_complete, load_result, unfinish
from pwl_jax.training.trees import Damaged, write_json

NAME = "evaluate"
READS = ("evaluation.calibration_images", "evaluation.refit_images")


def is_current(context: Context, name: str) -> bool:
  """Whether it was made of exactly what is there."""
  directory = context.workdir / name
  if not (is_complete(directory) and results_path(context).exists()):
    return False
  try:
    return load_result(directory).get("of") == _identity(context)
  except Damaged:
    return False


def results_path(context: Context) -> pathlib.Path:
  return context.workdir / REPORT / RESULTS


def _identity(context: Context) -> dict[str, Any]:
  digests = {
    name: load_result(context.workdir / name)["digest"]
    for name in trained.current(context)
  }
  fields = workdirs.read_by(READS, context.fields)
  return {"stages": digests, "fields": fields}


def check(context: Context, name: str, before: Collection[str]):
  context.evaluation.check()
  if not (trained.current(context) or before):
    raise ValueError(
      f"nothing to evaluate in {context.workdir}; train something first: "
      f"--config.stages={','.join(trained.TRAININGS)},{name}"
    )
  report = results_path(context).parent
  if report.exists() and not report.is_dir():
    raise ValueError(
      f"{report} is no directory, and the report goes there; move it away"
    )
  _check_budget(context)


def _check_budget(context: Context):
  budget = context.memory_budget
  check_range("evaluation.memory_budget", budget, 0)
  if not budget:
    return
  costs = measure_costs(context.swapnet)
  words = first_words(context.swapnet.num_units)
  least = min(costs.of(word).bytes for word in words)
  if budget < least:
    raise ValueError(
      f"evaluation.memory_budget is {budget:,} bytes, but the smallest "
      f"composition takes {least:,}; give at least as many, or 0 for none"
    )


def check_owner(context: Context, name: str):
  """Raises where something that it measures belongs to another config."""
  for stage in trained.current(context):
    trained.check_owner(context, stage)


def plan(context: Context, name: str) -> str:
  words = first_words(context.swapnet.num_units)
  return f"{len(words)} compositions"


def run(context: Context, name: str):
  """Measures, and then writes: what was found, and last that it is all."""
  made = {
    stage: trained.networks(context, stage)
    for stage in trained.current(context)
  }
  session, directory = context.session, context.workdir / name
  path = results_path(context)
  with distributed.together():
    if distributed.is_first():
      unfinish(directory)
      path.parent.mkdir(exist_ok=True)
  watch = make_watch(name, session.console, session.request)
  bench = Bench(context.swapnet, session, watch)
  costs = measure_costs(context.swapnet)
  found = None
  if made.keys() >= {"teacher", "distill"}:
    variables = {**made["teacher"], **made["distill"]}
    found = examine(bench, variables, costs.teacher_bytes, context.evaluation)
  measured = results.of_run(context, costs, found, _alone(bench, made, found))
  with distributed.together():
    if distributed.is_first():
      write_json(path, measured)
  improvements.save(
    directory,
    found.improvements if found else improvements.NOTHING,
    {"of": _identity(context)},
  )
  with distributed.together():
    if distributed.is_first():
      write_report(context.workdir)


def show(context: Context):
  """The table of a run that was evaluated, and where the rest is.

  What costs nothing to make again is brought up to date here: the best
  composition for a budget, and the page.
  """
  path, console = results_path(context), context.session.console
  found, page = read(path), path.with_name(PAGE)
  budget = numbers.of_budget(found["budgets"], context.memory_budget)
  with distributed.together():
    if distributed.is_first() and (
      budget != found["budget"] or not page.exists()
    ):
      found = {**found, "budget": budget}
      write_json(path, found)
      write_report(context.workdir)
  console.print(summary(found))
  if context.memory_budget and not budget:
    console.print(
      "evaluation.memory_budget: nothing to choose from, as compositions need "
      "a teacher and the distill stage"
    )
  console.print(f"\nThe report: {page}", soft_wrap=True)


def _alone(
  bench: Bench, made: Mapping[str, Any], found: Found | None
) -> dict[str, dict[str, Any]]:
  """Scores of every network on its own, by split."""
  n = bench.swapnet.num_units
  teacher, student = compositions.TEACHER * n, compositions.STUDENT * n
  alone = {}
  for name, variables in made.items():
    word = teacher if name == "teacher" else student
    measured = found and name in ("teacher", "distill")
    known = found.measured.own if measured else {}
    alone[name] = {
      split: known[split][word]
      if known
      else bench.score(split, (word,), variables, title=name)[word]
      for split in SPLITS
    }
    for split, score in alone[name].items():
      check_finite({name: score}, f"this run, on {split} examples,")
  return alone
