"""The stages: what each makes, from what, and when it may run.

  teacher        the large network, trained from scratch, or one that exists
  student_plain  the small network, trained alike, for comparison
  student_kd     the small network with the hard and the soft loss alone
  distill        student and converters with the whole objective

A stage writes into `workdir/STAGE`; one that is complete is skipped, one that
was interrupted goes on from its latest checkpoint.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax import overview, workdirs
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.results import measure_on_test
from pwl_jax.training import distributed, kinds
from pwl_jax.training.artefacts import (
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.job import Job
from pwl_jax.training.parallel import sharding
from pwl_jax.training.planning import check, count_steps
from pwl_jax.training.recipe import Recipe
from pwl_jax.training.running import adopt, run_job
from pwl_jax.training.session import Session


@dataclasses.dataclass(frozen=True)
class Context:
  """What the stages of a run share."""

  workdir: pathlib.Path
  session: Session
  swapnet: SwapNet
  start: Any  # First variables of a teacher that exists, or None.
  trains: str  # What of such a teacher is trained.
  recipes: Mapping[str, Recipe]  # By their sections in the config.
  objective: Mapping[str, Any]  # Its options.
  cross: str
  fit_converters: bool
  fields: Mapping[str, Any]  # Of the config, by dotted names; and of the data.

  def variables(self, stage: str) -> dict[str, Any]:
    """What a complete stage made, keyed network -> unit -> collection."""
    shapes = self.swapnet.abstract_variables()
    shapes = {role: shapes[role] for role in STAGES[stage].makes}
    everywhere = sharding(self.session.machine.devices)
    return load_variables(self.workdir / stage, placed(shapes, everywhere))

  def recipe(self, stage: str) -> Recipe:
    return self.recipes[STAGES[stage].recipe]

  def read_by(self, stage: str) -> dict[str, Any]:
    """What a stage depends on, its teacher included once that is known."""
    found = workdirs.read_by(STAGES[stage].reads, self.fields)
    teacher = self.workdir / "teacher"
    if STAGES[stage].needs_teacher and is_complete(teacher):
      found[workdirs.TEACHER] = load_result(teacher)["digest"]
    return found

  def is_current(self, stage: str) -> bool:
    """Complete, and made with the teacher that is there."""
    directory = self.workdir / stage
    return is_complete(directory) and workdirs.agrees(
      directory, workdirs.TEACHER, self.read_by(stage)
    )

  def is_trained(self, stage: str) -> bool:
    """All are, but a teacher that is to be taken as it is."""
    return stage != "teacher" or self.trains != "nothing"


def stages_left(names: Sequence[str], context: Context) -> list[str]:
  """Those to run, once it is sure that no config error stops one of them."""
  for name in names:
    check_choice("stage", name, STAGES)
  if len(set(names)) < len(names):
    raise ValueError(f"config.stages names one twice: {','.join(names)}")
  left = [n for n in names if not is_complete(context.workdir / n)]
  for i, name in enumerate(left):
    there = is_complete(context.workdir / "teacher")
    if STAGES[name].needs_teacher and not there and "teacher" not in left[:i]:
      raise ValueError(
        f"{name} needs a teacher, and {context.workdir / 'teacher'} is not "
        f"complete; run that stage first: --config.stages=teacher,{name}"
      )
    job = STAGES[name].make(context, None)
    if context.is_trained(name):
      check(job, context.recipe(name), context.session)
  used = names
  if any(STAGES[name].needs_teacher for name in names):
    used = ["teacher", *names]
  for name in used:
    workdirs.check_owner(context.workdir / name, context.read_by(name))
  return left


def run_stage(name: str, context: Context):
  stage, session = STAGES[name], context.session
  teacher = None
  if stage.needs_teacher:
    teacher = context.variables("teacher")["teacher"]
  job, directory = stage.make(context, teacher), context.workdir / name
  fields = context.read_by(name)
  with distributed.together():
    if distributed.is_first():
      workdirs.own(directory, fields)
  if context.is_trained(name):
    result = run_job(
      job,
      directory,
      recipe=context.recipe(name),
      session=session,
      notes=fields,
    )
  else:
    result = adopt(job, directory, session=session)
  session.say(f"{name}: {overview.in_words(result)}, in {directory}")


def show_results(context: Context):
  made = {
    name: context.variables(name) for name in STAGES if context.is_current(name)
  }
  console = context.session.console
  rows = measure_on_test(context.session, context.swapnet, made)
  console.print(overview.of_results(rows))
  missing = [name for name in STAGES if name not in made]
  console.print(
    overview.of_next_steps(context.workdir, missing), soft_wrap=True
  )


def show_plan(context: Context, names: Sequence[str], left: Sequence[str]):
  dataset = context.session.data.dataset

  def plan(name):
    if name not in left:
      return "complete"
    if not context.is_trained(name):
      return "as it is"
    return f"{count_steps(context.recipe(name), dataset):,} steps"

  context.session.console.print(
    overview.of_run(
      context.swapnet,
      dataset,
      context.session.machine.devices,
      context.workdir,
      {name: plan(name) for name in names},
    )
  )


def _teacher(context: Context, teacher: Any) -> Job:
  return kinds.plain_job(
    "teacher",
    context.swapnet.teacher,
    "teacher",
    start=context.start,
    trains=context.trains if context.start else "all",
  )


def _student_plain(context: Context, teacher: Any) -> Job:
  return kinds.plain_job("student_plain", context.swapnet.student, "student")


def _student_kd(context: Context, teacher: Any) -> Job:
  return kinds.kd_job(
    "student_kd", context.swapnet, teacher, **context.objective
  )


def _distill(context: Context, teacher: Any) -> Job:
  per_call = context.session.machine.steps_per_call
  if context.cross == "per_batch" and per_call > 1:
    raise ValueError(
      'cross="per_batch" chooses a program for every step; set steps_per_call '
      f"to 1, it is {per_call}"
    )
  return kinds.distill_job(
    "distill",
    context.swapnet,
    teacher,
    cross=context.cross,
    fit_converters=context.fit_converters,
    seed=context.session.seed,
    **context.objective,
  )


class Stage(NamedTuple):
  """A job of the pipeline, and what the others need to know of it."""

  make: Callable[[Context, Any], Job]  # From the teacher's variables.
  makes: tuple[str, ...]  # The networks whose variables it makes.
  recipe: str  # The section of the config that says how it is trained.
  reads: tuple[str, ...]  # Beside what all read; its results depend on it.
  needs_teacher: bool = False


STAGES = {
  "teacher": Stage(
    _teacher, ("teacher",), "teacher", reads=("teacher.", "imported.")
  ),
  "student_plain": Stage(
    _student_plain, ("student",), "student", reads=("student.",)
  ),
  "student_kd": Stage(
    _student_kd,
    ("student",),
    "student",
    reads=("student.", "objective.alpha", "objective.temperature"),
    needs_teacher=True,
  ),
  "distill": Stage(
    _distill,
    ("student", "converters"),
    "distill",
    reads=(
      *("distill.", "objective.", "cross", "fit_converters"),
      "model.converter",
    ),
    needs_teacher=True,
  ),
}
EVERYTHING = tuple(part for stage in STAGES.values() for part in stage.reads)
