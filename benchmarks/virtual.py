"""Processes with so many devices of this CPU, which make a step when told to.

  with Worker(4, preset="small_resnet", batch_size=64) as worker:
    worker()

Virtual devices share the cores, so that they show what dividing a step costs or
gains there, and nothing of the speed of real ones.
"""

import argparse
import os
import subprocess
import sys

import jax

from benchmarks.train_step import make_jobs, repeated, session_of
from pwl_jax import models
from pwl_jax.method.swapnet import SwapNet

DONE = "done"


def environment(devices: int) -> dict[str, str]:
  flags = os.environ.get("XLA_FLAGS", "")
  count = f"--xla_force_host_platform_device_count={devices}"
  return os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{flags} {count}"}


class Worker:
  """One process; calling it makes one step of distillation there."""

  def __init__(self, devices: int, *, preset: str, batch_size: int):
    given = [f"--preset={preset}", f"--batch_size={batch_size}"]
    self._process = subprocess.Popen(
      [sys.executable, "-m", "benchmarks.virtual", *given],
      env=environment(devices),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()

  def __call__(self):
    self._process.stdin.write("\n")
    self._process.stdin.flush()
    answer = self._process.stdout.readline().strip()
    if answer != DONE:
      raise RuntimeError(
        f"a process with virtual devices ended with {self._process.wait()} and "
        f"said {answer!r}; what went wrong stands above"
      )


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--preset", required=True)
  parser.add_argument("--batch_size", type=int, required=True)
  given = parser.parse_args()
  networks = models.create_pair(given.preset)
  job = make_jobs(SwapNet.create(*networks))["distill_mixed"]
  run = repeated(
    job, session_of(given.preset, given.batch_size), given.batch_size
  )
  for _ in sys.stdin:
    jax.block_until_ready(run())
    print(DONE, flush=True)


if __name__ == "__main__":
  main()
