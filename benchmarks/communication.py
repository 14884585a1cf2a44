"""What the devices tell each other in a step of distillation.

  XLA_FLAGS=--xla_force_host_platform_device_count=8 JAX_PLATFORMS=cpu \
    python -m benchmarks.communication --preset=resnet

Read from the compiled program: every operation that crosses devices, and the
bytes of its result. A step averages gradients, running averages and metrics.
"""

import math
import re
from typing import Any, NamedTuple

import jax

from benchmarks.records import Record, parser_of, tell
from benchmarks.train_step import make_jobs, session_of
from pwl_jax import models
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training import parallel
from pwl_jax.training.job import Job
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.training.running import first_state, training_key
from pwl_jax.training.session import Session
from pwl_jax.training.step import make_step

# "-start" is the half of an operation that moves the bytes.
CROSSING = re.compile(
  r"= (?P<result>.+?) (?P<name>all-reduce|all-gather|all-to-all|"
  r"reduce-scatter|collective-permute)(?:-start)?\("
)
ARRAY = re.compile(r"\b([a-z]+)(\d+)\[([\d,]*)\]")


class Crossing(NamedTuple):
  """One operation of a program that crosses devices."""

  name: str
  arrays: int
  nbytes: int


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.communication", __doc__)
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--batch_size", type=int, default=64)
  given = parser.parse_args(argv)
  if len(jax.devices()) < 2:
    parser.error(
      "one device has nobody to talk to; make several of a CPU with "
      "XLA_FLAGS=--xla_force_host_platform_device_count=8 JAX_PLATFORMS=cpu"
    )
  return tell([measure(given.preset, given.batch_size)], given.json)


def measure(preset: str, batch_size: int) -> Record:
  session = session_of(preset, batch_size)
  job = make_jobs(SwapNet.create(*models.create_pair(preset)))["distill_mixed"]
  state, text = compiled(job, session, batch_size)
  found = crossings(text)
  rows = {
    name: {
      "operations": len(of_name := [c for c in found if c.name == name]),
      "arrays": sum(c.arrays for c in of_name),
      "bytes": sum(c.nbytes for c in of_name),
    }
    for name in dict.fromkeys(c.name for c in found)
  }
  parts = {"gradients": state.params, "running averages": state.batch_stats}
  for name, tree in parts.items():
    rows[f"for comparison: {name}"] = {
      "arrays": len(jax.tree.leaves(tree)),
      "bytes": nbytes(tree),
    }
  title = (
    f"bytes that a distill step of {preset} sends from a device, "
    f"{len(session.machine.devices)} devices"
  )
  return Record(title, rows)


def compiled(job: Job, session: Session, batch_size: int) -> tuple[Any, str]:
  """The shapes of its state, and the program of a step as XLA made it."""
  recipe = Recipe(epochs=1, batch_size=batch_size)
  devices, feed = session.machine.devices, session.feed(batch_size)
  tx = make_tx(recipe, feed.steps_per_epoch)
  _, state = first_state(job, tx, recipe, session)
  step = make_step(
    job.loss_at(0),
    tx,
    take=feed.take,
    prepare=session.data.prepare(recipe.label_smoothing),
    rows_per_device=batch_size // len(devices),
  )
  # What pmap makes of it, too: the two are the same program.
  run = parallel.on_all(step, devices, apart=(False,) * 4, donate=0)
  args = state, job.frozen, feed.arrays(0), training_key(session)
  return state, run.lower(*args).compile().as_text()


def crossings(text: str) -> list[Crossing]:
  """Of the text of a compiled program."""
  found = []
  for match in CROSSING.finditer(text):
    sizes = [
      int(bits) // 8 * math.prod(int(n) for n in shape.split(",") if n)
      for _, bits, shape in ARRAY.findall(match["result"])
    ]
    found.append(Crossing(match["name"], len(sizes), sum(sizes)))
  return found


def nbytes(tree: Any) -> int:
  return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(tree))


if __name__ == "__main__":
  main()
