"""What a training step takes, by stage and way to cross, on this machine.

  python -m benchmarks.step --preset=resnet --batch_size=128

Every case is the whole step as it is trained: rows taken from the data on the
device, changed there, loss, gradient, optimiser. Cases are timed in turns. The
last column is the ratio to the student's step with the hard and soft loss.
"""

import argparse
import functools
import pathlib

import jax
from rich.console import Console

from benchmarks.noise import dataset_of
from benchmarks.timing import in_turns, summary, tell
from pwl_jax import models
from pwl_jax.data.inputs import changes_for
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.layers import DTYPES
from pwl_jax.training import kinds
from pwl_jax.training.interruption import Request
from pwl_jax.training.job import Job
from pwl_jax.training.planning import check
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.training.running import first_state, make_steps, training_key
from pwl_jax.training.session import Data, Machine, Session

BASE = "student_kd"
AUGMENT = dict(
  **dict(crop=4, flip=True, rotate=15.0),
  **dict(shift=800, gain=6.0, time_masks=1, time_mask=800),
  **dict(frequency_masks=1, frequency_mask=0.1),
)


def make_jobs(swapnet: SwapNet) -> dict[str, Job]:
  """What is trained in each case."""
  teacher = jax.jit(swapnet.teacher.init)(jax.random.key(1))
  distill = functools.partial(kinds.distill_job, fit_converters=False)
  return {
    "teacher": kinds.plain_job("teacher", swapnet.teacher, "teacher"),
    "student_plain": kinds.plain_job("plain", swapnet.student, "student"),
    BASE: kinds.kd_job("kd", swapnet, teacher),
    "distill_mixed": distill("mixed", swapnet, teacher, cross="mixed"),
    "distill_all": distill("all", swapnet, teacher, cross="all"),
    "distill_per_batch": distill("one", swapnet, teacher, cross="per_batch"),
  }


def repeated(job, feed, session, recipe):
  """A function that makes one more step and returns its metrics."""
  tx = make_tx(recipe, feed.steps_per_epoch)
  fresh, _ = first_state(job, tx, recipe, session)
  step_at = make_steps(job, tx, feed, recipe, session)
  run, key = step_at(0, 1), training_key(session)
  state = fresh()

  def once():
    nonlocal state
    state, metrics = run(state, job.frozen, feed.arrays(0), key)
    return metrics

  return once


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.step", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--batch_size", type=int, default=128)
  parser.add_argument("--rounds", type=int, default=10)
  parser.add_argument("--dtype", default="float32", choices=DTYPES)
  parser.add_argument("--cases", help="those to time, separated by commas")
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  given = parser.parse_args(argv)
  found = measure(given)
  title = f"step of {given.preset}, batch {given.batch_size}, {given.dtype}"
  tell(found, BASE, title=title, path=given.json)


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
  dataset = dataset_of(given.preset, 4 * given.batch_size)
  changes = changes_for(dataset.input, AUGMENT)
  session = Session(
    Data(dataset, dataset.input, changes),
    Machine(jax.devices()),
    seed=0,
    console=Console(),
    request=Request(),
  )
  recipe = Recipe(epochs=1, batch_size=given.batch_size)
  networks = models.create_pair(given.preset, dtype=DTYPES[given.dtype])
  jobs = make_jobs(SwapNet.create(*networks))
  chosen = given.cases.split(",") if given.cases else jobs
  for name in chosen:
    check_choice("case", name, jobs)
  feed, cases = session.feed(recipe.batch_size), {}
  for name in dict.fromkeys([BASE, *chosen]):
    check(jobs[name], recipe, session)
    cases[name] = repeated(jobs[name], feed, session, recipe)
  return {
    name: summary(seconds)
    for name, seconds in in_turns(cases, rounds=given.rounds).items()
  }


if __name__ == "__main__":
  main()
