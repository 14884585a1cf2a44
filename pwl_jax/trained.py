"""The stages that train: what each makes, from what, and when it may run.

  teacher        the large network, trained from scratch, or one that exists
  student_plain  the small network, trained alike, for comparison
  student_kd     the small network with the hard and the soft loss alone
  distill        student and converters with the whole objective

A stage belongs to the fields it reads and to its teacher: one that was begun
with others is never continued.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax

from pwl_jax import overview, workdirs
from pwl_jax.compress.fake import fake_quantised_network
from pwl_jax.context import Context
from pwl_jax.exporting.precision import EXACT
from pwl_jax.training import distributed, kinds
from pwl_jax.training.artefacts import (
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.job import Job
from pwl_jax.training.parallel import sharding
from pwl_jax.training.planning import check as check_job
from pwl_jax.training.planning import count_steps
from pwl_jax.training.running import adopt, run_job


class Training(NamedTuple):
  """A job of the pipeline, and what the others need to know of it."""

  make: Callable[[Context, Any], Job]  # From the teacher's variables.
  makes: tuple[str, ...]  # The networks whose variables it makes.
  recipe: str  # The section of the config that says how it is trained.
  reads: tuple[str, ...]  # Beside what all read; its results depend on it.
  needs_teacher: bool = False


def variables(context: Context, name: str) -> dict[str, Any]:
  """What a complete stage made, keyed network -> unit -> collection."""
  shapes = context.swapnet.abstract_variables()
  shapes = {role: shapes[role] for role in TRAININGS[name].makes}
  everywhere = sharding(context.session.machine.devices)
  return load_variables(context.workdir / name, placed(shapes, everywhere))


def networks(context: Context, name: str) -> dict[str, Any]:
  """Those variables as the stage ran them: rounded, if it did that."""
  found = variables(context, name)
  precisions = context.student_precisions
  if name == "distill" and set(precisions) != {EXACT}:
    rounded = jax.jit(
      lambda student: fake_quantised_network(student, precisions),
      out_shardings=sharding(context.session.machine.devices),
    )
    found["student"] = rounded(found["student"])
  return found


def read_by(context: Context, name: str) -> dict[str, Any]:
  """What a stage depends on, its teacher included once that is known."""
  training = TRAININGS[name]
  found = workdirs.read_by(training.reads, context.fields)
  teacher = context.workdir / "teacher"
  if training.needs_teacher and is_complete(teacher):
    found[workdirs.TEACHER] = load_result(teacher)["digest"]
  return found


def is_done(context: Context, name: str) -> bool:
  return is_complete(context.workdir / name)


def is_current(context: Context, name: str) -> bool:
  """Done, and with the teacher that is there."""
  return is_done(context, name) and workdirs.agrees(
    context.workdir / name, workdirs.TEACHER, read_by(context, name)
  )


def current(context: Context) -> list[str]:
  """The stages that are."""
  return [name for name in TRAININGS if is_current(context, name)]


def is_adopted(context: Context, name: str) -> bool:
  """Whether it is a teacher that is to be taken as it is."""
  return name == "teacher" and context.trains == "nothing"


def check(context: Context, name: str, before: Collection[str]):
  """Raises where it cannot run, `before` being those that run first."""
  training, teacher = TRAININGS[name], context.workdir / "teacher"
  there = is_complete(teacher) or "teacher" in before
  if training.needs_teacher and not there:
    raise ValueError(
      f"{name} needs a teacher, and {teacher} is not complete; run that stage "
      f"first: --config.stages=teacher,{name}"
    )
  job = training.make(context, None)
  if not is_adopted(context, name):
    check_job(job, context.recipes[training.recipe], context.session)


def check_owner(context: Context, name: str):
  """Raises where it, or its teacher, was begun with other fields."""
  if TRAININGS[name].needs_teacher:
    check_owner(context, "teacher")
  workdirs.check_owner(context.workdir / name, read_by(context, name))


def plan(context: Context, name: str) -> str:
  if is_adopted(context, name):
    return "as it is"
  recipe = context.recipes[TRAININGS[name].recipe]
  return f"{count_steps(recipe, context.session.data.dataset):,} steps"


def run(context: Context, name: str):
  training, session = TRAININGS[name], context.session
  teacher = None
  if training.needs_teacher:
    teacher = variables(context, "teacher")["teacher"]
  job, directory = training.make(context, teacher), context.workdir / name
  fields = read_by(context, name)
  with distributed.together():
    if distributed.is_first():
      workdirs.own(directory, fields)
  if is_adopted(context, name):
    result = adopt(job, directory, session=session)
  else:
    result = run_job(
      job,
      directory,
      recipe=context.recipes[training.recipe],
      session=session,
      notes=fields,
    )
  session.say(f"{name}: {overview.in_words(result)}, in {directory}")


def _teacher(context: Context, teacher: Any) -> Job:
  start = context.starts["teacher"]
  return kinds.plain_job(
    "teacher",
    context.swapnet.teacher,
    "teacher",
    start=start.variables,
    trains=context.trains if start.variables else "all",
    keeps_zeros=start.keeps_zeros,
  )


def _student_plain(context: Context, teacher: Any) -> Job:
  return kinds.plain_job("student_plain", context.swapnet.student, "student")


def _student_kd(context: Context, teacher: Any) -> Job:
  return kinds.kd_job(
    "student_kd", context.swapnet, teacher, **context.objective
  )


def _distill(context: Context, teacher: Any) -> Job:
  start = context.starts["student"]
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
    student=start.variables,
    keeps_zeros=start.keeps_zeros,
    cross=context.cross,
    fit_converters=context.fit_converters,
    seed=context.session.seed,
    precisions=context.student_precisions,
    **context.objective,
  )


STUDENT = ("started.network", "started.narrowed")  # What network it is.
TRAININGS = {
  "teacher": Training(
    _teacher, ("teacher",), "teacher", reads=("teacher.", "imported.")
  ),
  "student_plain": Training(
    _student_plain, ("student",), "student", reads=("student.", *STUDENT)
  ),
  "student_kd": Training(
    _student_kd,
    ("student",),
    "student",
    reads=(
      *("student.", *STUDENT),
      "objective.alpha",
      "objective.temperature",
      "objective.others_weight",
    ),
    needs_teacher=True,
  ),
  "distill": Training(
    _distill,
    ("student", "converters"),
    "distill",
    reads=(
      *("distill.", "started.", "objective.", "cross", "fit_converters"),
      *("student_precision", "model.converter"),
    ),
    needs_teacher=True,
  ),
}
