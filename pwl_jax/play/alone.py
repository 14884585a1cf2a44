"""The teacher loaded plainly, for comparison, in processes of their own.

Its time counts like that of the show: from asking for the bundle to the first
answer, once jax has started and found its device. Each is measured in a fresh
process, so neither profits from what the other has compiled or read. A device
may belong to one process at a time, so these are over before the show begins.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from pwl_jax.play import caches

MODULE = "pwl_jax.play.alone"
ROOT = pathlib.Path(__file__).parents[2]


def measure(
  bundle: pathlib.Path, *, bandwidth: float | None, batch: int, cold: bool
) -> float:
  """Seconds to its first answer."""
  options: dict[str, Any] = dict(bandwidth=bandwidth, batch=batch)
  if not cold:
    return _in_a_process("first_answer", bundle, cache=None, **options)
  caches.forget(bundle)
  with tempfile.TemporaryDirectory() as empty:
    return _in_a_process("first_answer", bundle, cache=empty, **options)


def rehearse(bundle: pathlib.Path, *, batch: int, policy: str):
  """Fills the caches: of compiled programs, and the system's own of files."""
  _in_a_process("rehearsal", bundle, batch=batch, policy=policy)


def first_answer(
  bundle: str, *, bandwidth: float | None, batch: int, cache: str | None
) -> float:
  """Seconds until the whole teacher has answered, in this process."""
  import jax
  import numpy as np

  from pwl_jax.bundle.manifest import read
  from pwl_jax.runtime import open_model

  manifest = read(bundle)
  raw = np.zeros((batch, *manifest.input.shape), manifest.input.dtype)
  jax.devices()
  began = time.perf_counter()
  with open_model(
    bundle,
    start="T" * manifest.num_units,
    max_bytes_per_second=bandwidth,
    batch_sizes=(batch,),
    cache_dir=cache,
  ) as model:
    model(raw)
    return time.perf_counter() - began


def rehearsal(bundle: str, *, batch: int, policy: str) -> float:
  """All that will be run."""
  from pwl_jax.runtime import open_model

  with open_model(bundle, batch_sizes=(batch,)) as model:
    model.upgrade(policy=policy).wait()
  return first_answer(bundle, bandwidth=None, batch=batch, cache=None)


def _in_a_process(what: str, bundle: pathlib.Path, **options: Any) -> float:
  environment = dict(os.environ)
  path = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
  environment["PYTHONPATH"] = os.pathsep.join(path)
  if options.get("cache"):  # What XLA itself may keep is not used either.
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
  done = subprocess.run(
    [sys.executable, "-m", MODULE, what, str(bundle), json.dumps(options)],
    capture_output=True,
    text=True,
    env=environment,
  )
  if done.returncode:
    lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
    raise ChildProcessError(lines[-1])
  return float(done.stdout.splitlines()[-1])


def main(what: str, bundle: str, options: str) -> float:
  known = {"first_answer": first_answer, "rehearsal": rehearsal}
  return known[what](bundle, **json.loads(options))


if __name__ == "__main__":
  print(main(*sys.argv[1:]))
