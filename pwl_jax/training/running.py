"""Runs a job: from first variables, or a checkpoint, to its artefact.

A job owns a directory, whose `checkpoints/` hold its state; what it leaves
there when it is complete is in `artefacts.py`.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from pwl_jax.method.variables import merge, split
from pwl_jax.training import distributed, parallel
from pwl_jax.training.accuracy import make_evaluator
from pwl_jax.training.artefacts import finish, placed
from pwl_jax.training.checkpoints import RunCheckpoints
from pwl_jax.training.job import Job
from pwl_jax.training.loop import Loop
from pwl_jax.training.planning import make_rhythm
from pwl_jax.training.profiling import profiling
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.training.reporting import Reporter
from pwl_jax.training.session import Session
from pwl_jax.training.step import TrainState, init_state, make_step, repeat


def run_job(
  job: Job,
  directory: pathlib.Path,
  *,
  recipe: Recipe,
  session: Session,
  notes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """Trains or continues; returns the result, which is also on disk.

  `notes`, such as the config, are written into every checkpoint.
  """
  with contextlib.ExitStack() as stack:

    def opened(thing):
      return stack.enter_context(contextlib.closing(thing))

    feed = opened(session.feed(recipe.batch_size))
    each = feed.steps_per_epoch
    rhythm = make_rhythm(recipe, each, session.machine, streamed=feed.apart)
    tx = make_tx(
      recipe, each, trainable=job.trainable, keeps_zeros=job.keeps_zeros
    )
    fresh, abstract = first_state(job, tx, recipe, session)
    checkpoints = opened(
      RunCheckpoints(
        directory / "checkpoints", notes=notes or {}, report=session.say
      )
    )
    state = checkpoints.restore_latest(abstract)
    state = fresh() if state is None else state
    reporter = opened(
      Reporter(
        directory,
        job.name,
        from_step=int(state.step),
        num_steps=rhythm.num_steps,
        batch_size=recipe.batch_size,
        console=session.console,
        silent=not distributed.is_first(),
      )
    )
    steps = make_steps(job, tx, feed, recipe, session)
    evaluate = make_held_out_evaluation(job, session)
    loop = Loop(
      step_at=stack.enter_context(
        profiling(
          steps, directory / "profile", session.machine.profile, session.say
        )
      ),
      arrays_at=feed.arrays,
      whole=lambda state: parallel.of_all_processes(
        state, session.machine.devices
      ),
      evaluate=lambda state: evaluate(trained(state)),
      rhythm=rhythm,
      checkpoints=checkpoints,
      reporter=reporter,
      request=session.request,
    )
    state = loop.run(state, job.frozen, training_key(session))
    if recipe.keep == "best":
      state = checkpoints.restore_best(abstract)
    result = {
      "steps": rhythm.num_steps,
      "kept_step": int(state.step),
      "num_classes": session.data.dataset.num_classes,
      "seconds": reporter.seconds,
      "valid": evaluate(trained(state)),
    }
  return finish(directory, trained(state), result)


def adopt(
  job: Job, directory: pathlib.Path, *, session: Session
) -> dict[str, Any]:
  """Takes what a job starts from as what it made, without training."""
  variables = job.init(jax.random.key(0), None, job.start)
  variables = parallel.replicate(variables, session.machine.devices)
  evaluate = make_held_out_evaluation(job, session)
  result = {
    "steps": 0,
    "num_classes": session.data.dataset.num_classes,
    "seconds": 0.0,
    "valid": evaluate(variables),
  }
  return finish(directory, variables, result)


def trained(state: TrainState) -> dict[str, Any]:
  """The variables of a state, its running average where it has one."""
  params = state.params if state.average is None else state.average
  return merge(params, state.batch_stats)


def training_key(session: Session) -> jax.Array:
  """The root key of the steps, apart from that of the first variables."""
  _, key = jax.random.split(jax.random.key(session.seed))
  return parallel.replicate_key(key, session.machine.devices)


def make_held_out_evaluation(job: Job, session: Session) -> Callable:
  """Returns evaluate(variables), on the held-out examples."""
  data = session.data
  measure = make_evaluator(
    lambda variables, inputs: job.logits(variables, data.normalise(inputs)),
    session.evaluation(data.dataset.valid),
  )
  return lambda variables: measure(job.frozen | variables)


def make_steps(job: Job, tx, feed, recipe: Recipe, session: Session):
  """Returns step_at(step, times); each loss of the job is compiled once."""
  machine = session.machine
  options = dict(
    take=feed.take,
    prepare=session.data.prepare(recipe.label_smoothing),
    rows_per_device=recipe.batch_size // len(machine.devices),
    ema_decay=recipe.ema_decay,
  )

  @functools.cache
  def compiled(loss, times):
    return parallel.parallelise(
      repeat(make_step(loss, tx, **options), times),
      machine.devices,
      how=machine.parallel,
      apart=feed.apart,
    )

  return lambda step, times: compiled(job.loss_at(step), times)


def first_state(
  job: Job, tx: optax.GradientTransformation, recipe: Recipe, session: Session
) -> tuple[Callable[[], TrainState], TrainState]:
  """A function that makes it, and its shapes with where they lie."""
  data, everywhere = session.data, parallel.sharding(session.machine.devices)

  def fresh(key, inputs, start):
    variables = job.init(key, data.normalise(inputs), start)
    params, batch_stats = split(variables)
    return init_state(params, batch_stats, tx, ema=recipe.ema_decay > 0)

  examples = data.training_examples(recipe.batch_size, seed=session.seed)
  inputs = examples.sample(recipe.batch_size).inputs
  key, _ = jax.random.split(jax.random.key(session.seed))
  shapes = jax.eval_shape(fresh, key, inputs, job.start)
  make = _compile_fast(fresh, everywhere)
  return lambda: make(key, inputs, job.start), placed(shapes, everywhere)


def _compile_fast(function: Callable, sharding) -> Callable:
  """For what runs once: XLA's passes over initialisers take most of a minute.

  Other backends know no such option, and compile them fast.
  """
  on_cpu = jax.default_backend() == "cpu"
  options = {"xla_backend_optimization_level": 0} if on_cpu else None
  return jax.jit(function, out_shardings=sharding, compiler_options=options)
