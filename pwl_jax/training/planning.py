"""What a recipe, the data and the machine mean, before anything runs."""

import jax

from pwl_jax.data.batches import steps_per_epoch
from pwl_jax.data.dataset import Dataset, Split
from pwl_jax.training import parallel
from pwl_jax.training.job import Job
from pwl_jax.training.loop import Rhythm
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.training.session import Machine, Session


def make_rhythm(
  recipe: Recipe, steps_per_epoch: int, machine: Machine, *, streamed: bool
) -> Rhythm:
  """After how many steps what happens."""
  per_call = machine.steps_per_call
  if streamed and per_call > 1:
    raise ValueError(
      f"steps_per_call is {per_call}, but the data is streamed and comes step "
      "by step; set it to 1"
    )
  if steps_per_epoch % per_call:
    divisors = [n for n in range(1, 101) if steps_per_epoch % n == 0]
    raise ValueError(
      f"steps_per_call is {per_call}, which does not divide the "
      f"{steps_per_epoch} steps of an epoch; choose one of "
      f"{', '.join(map(str, divisors))}"
    )
  return Rhythm(
    recipe.epochs * steps_per_epoch,
    per_call,
    machine.log_every,
    machine.evaluate_every * steps_per_epoch,
  )


def count_steps(recipe: Recipe, dataset: Dataset) -> int:
  return recipe.epochs * steps_per_epoch(len(dataset.train), recipe.batch_size)


def check(job: Job, recipe: Recipe, session: Session):
  """Raises, before anything is written, what a job would raise later."""
  data, machine = session.data, session.machine
  devices, train = machine.devices, data.dataset.train
  machine.check()
  parallel.check_batch(
    recipe.batch_size,
    len(devices),
    pairs=job.pairs or data.changes.get("mixup_alpha", 0) > 0,
  )
  each = steps_per_epoch(len(train), recipe.batch_size)
  make_rhythm(recipe, each, machine, streamed=not isinstance(train, Split))
  make_tx(recipe, each)
  rows = recipe.batch_size // len(devices)
  job.check_rows(rows)
  data.check()
  prepare = data.prepare(recipe.label_smoothing)
  jax.eval_shape(
    lambda inputs, labels, key: prepare(
      inputs, labels, jax.random.split(key, rows), key
    ),
    jax.ShapeDtypeStruct((rows, *data.input.shape), data.input.dtype),
    jax.ShapeDtypeStruct((rows,), "int32"),
    jax.eval_shape(lambda: jax.random.key(0)),
  )
