"""The pipeline: each stage is (config, workdir) -> artefact.

  teacher        the large network, trained from scratch, or one that exists
  student_plain  the small network, trained alike, for comparison
  student_kd     the small network with the hard and the soft loss alone
  distill        student and converters with the whole objective

A stage writes into `workdir/STAGE`; one that is complete is skipped, one that
was interrupted goes on from its latest checkpoint. Config objects stop here.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict
from rich.console import Console

from pwl_jax import overview, workdirs
from pwl_jax.data.dataset import channel_statistics
from pwl_jax.data.sources import load_dataset
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.layers import DTYPES
from pwl_jax.results import measure_on_test
from pwl_jax.teachers import make_networks
from pwl_jax.training import distributed, kinds
from pwl_jax.training.artefacts import (
  digest,
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.checkpoints import write_json
from pwl_jax.training.interruption import Request, listening
from pwl_jax.training.job import Job
from pwl_jax.training.parallel import sharding
from pwl_jax.training.planning import check, count_steps
from pwl_jax.training.recipe import Recipe
from pwl_jax.training.running import adopt, run_job
from pwl_jax.training.session import Data, Machine, Session


@dataclasses.dataclass(frozen=True)
class Context:
  """What the stages of a run share."""

  config: ConfigDict
  workdir: pathlib.Path
  session: Session
  swapnet: SwapNet
  start: Any  # First variables of a teacher that exists, or None.
  fields: dict[str, Any]  # Of the config, by dotted names; and of the data.

  def variables(self, stage: str) -> dict[str, Any]:
    """What a complete stage made, keyed network -> unit -> collection."""
    shapes = self.swapnet.abstract_variables()
    shapes = {role: shapes[role] for role in STAGES[stage].makes}
    everywhere = sharding(self.session.machine.devices)
    return load_variables(self.workdir / stage, placed(shapes, everywhere))

  def recipe(self, stage: str) -> Recipe:
    return Recipe(**self.config[STAGES[stage].recipe].to_dict())

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
    return stage != "teacher" or self.config.imported.trains != "nothing"


def run(config: ConfigDict, workdir: pathlib.Path):
  """Runs the stages of a config, and shows what was reached."""
  console = Console(quiet=not distributed.is_first())
  with listening() as request, contextlib.ExitStack() as stack:
    with distributed.together():  # Every mistake of a config shows in here.
      context = make_context(config, workdir, console, request)
      names = [name.strip() for name in config.stages.split(",")]
      left = stages_left(names, context)
      if distributed.is_first():
        stack.enter_context(workdirs.locked(workdir))
        write_json(workdir / "config.json", context.fields)
    distributed.check_alike(
      "configs or data", str(workdirs.read_by(EVERYTHING, context.fields))
    )
    console.print(overview_of(context, names, left))
    for name in left:
      request.check(f"before {name}")
      run_stage(name, context)
    request.check("before the results")
    show_results(context)


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


def overview_of(context: Context, names: Sequence[str], left: Sequence[str]):
  dataset = context.session.data.dataset

  def plan(name):
    if name not in left:
      return "complete"
    if not context.is_trained(name):
      return "as it is"
    return f"{count_steps(context.recipe(name), dataset):,} steps"

  return overview.of_run(
    context.swapnet,
    dataset,
    context.session.machine.devices,
    context.workdir,
    {name: plan(name) for name in names},
  )


def make_context(
  config: ConfigDict, workdir: pathlib.Path, console: Console, request: Request
) -> Context:
  """Loads the data and builds the networks."""
  check_choice("dtype", config.model.dtype, DTYPES)
  check_choice("imported.trains", config.imported.trains, kinds.TRAINS)
  options = config.data.to_dict()
  name, mean, deviation = map(options.pop, ("name", "mean", "deviation"))
  dataset = load_dataset(name, **options)
  devices = sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
  teacher, student, start, new_head = make_networks(
    config.model.preset,
    teacher_path=config.imported.path,
    num_classes=dataset.num_classes,
    input_shape=dataset.image_shape,
    dtype=DTYPES[config.model.dtype],
    sync=config.model.sync_batch_norm,
    seed=config.seed,
    devices=devices,
  )
  if config.imported.trains == "nothing" and (start is None or new_head):
    raise ValueError(
      'imported.trains is "nothing", but '
      + ("its head is new" if new_head else "imported.path is empty")
      + '; use "head" or "all"'
    )
  if not (mean or deviation):
    mean, deviation = channel_statistics(dataset.train)
  fields = config.to_dict()
  fields["data"]["fingerprint"] = dataset.fingerprint
  fields["imported"]["digest"] = digest(start) if start is not None else ""
  machine = {name: config[name] for name in Machine._fields if name in config}
  return Context(
    config,
    workdir,
    Session(
      data=Data(dataset, mean, deviation, config.augment.to_dict()),
      machine=Machine(devices, **machine),
      seed=config.seed,
      console=console,
      request=request,
    ),
    SwapNet.create(teacher, student, converter=config.model.converter),
    start,
    workdirs.flat(fields),
  )


def _teacher(context: Context, teacher: Any) -> Job:
  return kinds.plain_job(
    "teacher",
    context.swapnet.teacher,
    "teacher",
    start=context.start,
    trains=context.config.imported.trains if context.start else "all",
  )


def _student_plain(context: Context, teacher: Any) -> Job:
  return kinds.plain_job("student_plain", context.swapnet.student, "student")


def _student_kd(context: Context, teacher: Any) -> Job:
  options = context.config.objective.to_dict()
  return kinds.kd_job("student_kd", context.swapnet, teacher, **options)


def _distill(context: Context, teacher: Any) -> Job:
  config = context.config
  if config.cross == "per_batch" and config.steps_per_call > 1:
    raise ValueError(
      'cross="per_batch" chooses a program for every step; set steps_per_call '
      f"to 1, it is {config.steps_per_call}"
    )
  return kinds.distill_job(
    "distill",
    context.swapnet,
    teacher,
    cross=config.cross,
    fit_converters=config.fit_converters,
    seed=config.seed,
    **config.objective.to_dict(),
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
