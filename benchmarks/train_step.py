"""What a training step takes, by stage and way to cross, on this machine.

  python -m benchmarks.train_step --preset=resnet --batch_size=128 [--torch]

Every case is the whole step as it is trained: rows taken from the data on the
device, changed there, loss, gradient, optimiser. Cases are timed in turns. The
ratio is to the student's step with the hard and soft loss, or else to the first
case. With --torch the steps of the PyTorch peer are cases too, eager and with
the batch at hand, and to_torch tells how many times its images per second
`pwl_jax` makes: more than 1 is faster. The peer has one device, and so have we
without --devices, which makes several of a CPU. Batch norms see the batch of
all of them, so that the step stays the same.
"""

import argparse
import dataclasses
import functools

import jax
import numpy as np
from rich.console import Console

from benchmarks import machine
from benchmarks.noise import dataset_of
from benchmarks.records import Record, parser_of, tell
from benchmarks.timing import (
  Seconds,
  explained,
  in_turns,
  ratio,
  summaries,
)
from pwl_jax import models
from pwl_jax.data.inputs import changes_for
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.layers import DTYPES
from pwl_jax.training import kinds
from pwl_jax.training.interruption import Request
from pwl_jax.training.job import Job
from pwl_jax.training.large_pages import restart_with_large_pages
from pwl_jax.training.parallel import Devices
from pwl_jax.training.planning import check
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.training.running import first_state, make_steps, training_key
from pwl_jax.training.session import Data, Machine, Session
from pwl_jax.training.step import AXIS

BASE = "student_kd"
# The stages that the peer makes, and which of our cases does the same.
PEERS = {"torch_teacher": "teacher", "torch_distill": "distill_mixed"}
CALLS = 4  # To go through the data once.
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


def session_of(
  preset: str,
  batch_size: int,
  *,
  devices: Devices | None = None,
  steps_per_call: int = 1,
) -> Session:
  """Noise of what the preset takes, and the devices; all by default."""
  count = CALLS * steps_per_call * batch_size
  dataset = dataset_of(preset, 2 * count)  # Of which some are held out.
  train = dataset.train.take(np.arange(count))
  dataset = dataclasses.replace(dataset, train=train)
  return Session(
    Data(dataset, dataset.input, changes_for(dataset.input, AUGMENT)),
    Machine(devices or jax.devices(), steps_per_call=steps_per_call),
    seed=0,
    console=Console(),
    request=Request(),
  )


def repeated(job: Job, session: Session, batch_size: int):
  """A function that makes one more call and returns its metrics."""
  recipe = Recipe(epochs=1, batch_size=batch_size)
  check(job, recipe, session)
  feed = session.feed(batch_size)
  tx = make_tx(recipe, feed.steps_per_epoch)
  fresh, _ = first_state(job, tx, recipe, session)
  step_at = make_steps(job, tx, feed, recipe, session)
  times, key = session.machine.steps_per_call, training_key(session)
  run, state = step_at(0, times), fresh()

  def once():
    nonlocal state
    state, metrics = run(state, job.frozen, feed.arrays(0), key)
    return metrics

  return once


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.train_step", __doc__)
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--batch_size", type=int, default=128)
  parser.add_argument("--rounds", type=int, default=10)
  parser.add_argument("--dtype", default="float32", choices=DTYPES)
  parser.add_argument(
    "--steps_per_call", type=int, default=1, help="in one dispatch, of both"
  )
  parser.add_argument("--cases", help="those to time, separated by commas")
  parser.add_argument("--torch", action="store_true", help="and the peer's")
  parser.add_argument(
    "--devices", type=int, help="all by default, or one with --torch"
  )
  given = parser.parse_args(argv)
  count = given.devices or (1 if given.torch else None)
  devices = machine.take_devices(count)
  cases = make_cases(given, devices)
  taken = in_turns(cases, rounds=given.rounds, settled=True)
  found = {
    name: [s / given.steps_per_call for s in seconds]
    for name, seconds in taken.items()
  }
  return tell([record_of(found, given, len(devices))], given.json)


def record_of(
  found: Seconds, given: argparse.Namespace, devices: int
) -> Record:
  base = BASE if BASE in found else next(iter(found))
  rows = summaries(found, base)
  for name, row in rows.items():
    row["images_per_s"] = 1e3 * given.batch_size / row["median_ms"]
    peer = next((p for p in PEERS if p in found and PEERS[p] == name), None)
    if peer:
      row["to_torch"] = ratio(found[peer], found[name])
  title = (
    f"step of {given.preset}, batch {given.batch_size}, {given.dtype}, "
    f"{given.steps_per_call} in a call, "
    f"{devices} device{'s' if devices > 1 else ''}"
  )
  notes = [explained(base, given.rounds, settled=True), machine.pages()]
  if given.torch:
    notes.append(
      "to torch: how many times the peer's images per second. The peer's batch "
      "lies ready in float32; ours is cut out and augmented in the step."
    )
  return Record(title, rows, notes)


def make_cases(given: argparse.Namespace, devices: Devices):
  """By its name, a function that makes the steps of one call."""
  networks = models.create_pair(
    given.preset,
    dtype=DTYPES[given.dtype],
    sync_axis=AXIS if len(devices) > 1 else None,
  )
  jobs = make_jobs(SwapNet.create(*networks))
  chosen = given.cases.split(",") if given.cases else list(jobs)
  for name in chosen:
    check_choice("case", name, jobs)
  session = session_of(
    given.preset,
    given.batch_size,
    devices=devices,
    steps_per_call=given.steps_per_call,
  )
  cases = {
    name: repeated(jobs[name], session, given.batch_size) for name in chosen
  }
  return cases | (peer_cases(given) if given.torch else {})


def peer_cases(given: argparse.Namespace):
  # Here, so that all else goes without torch.
  from benchmarks.peers.cases import make_cases as make

  made = make(
    given.preset,
    batch_size=given.batch_size,
    dtype=given.dtype,
    times=given.steps_per_call,
  )
  return {f"torch_{name}": run for name, run in made.items()}


if __name__ == "__main__":
  restart_with_large_pages()  # As `pwl_jax.main` does.
  main()
