"""Requests while units are swapped: how long they take, and if all are right.

  python -m benchmarks.swap --preset=vit_small_tiny --cycles=5
  python -m benchmarks.swap --preset=tiny_resnet --threads=4 --cycles=500

Threads ask without a break, first while nothing changes, at every rung in
turn, and then while the model goes up and down. Every answer is compared with
that of the composition that gave it. The p99 of a composition while it is
being left is told beside its quiet p99, and what the process holds before and
after.
"""

import argparse
import collections
import gc
import json
import pathlib
import resource
import tempfile
import threading
import time
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import pwl_jax
from benchmarks import bundles

QUIET_SECONDS = 2.0


class Asked(NamedTuple):
  """What the threads saw."""

  milliseconds: dict[str, list[float]]  # By composition.
  wrong: list[str]


class Load:
  """Threads that ask without a break, while they are entered."""

  def __init__(self, model, golden, images, threads: int):
    self._model, self._golden, self._images = model, golden, images
    self._stop = threading.Event()
    self.asked = Asked(collections.defaultdict(list), [])
    self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

  def __enter__(self):
    for thread in self._threads:
      thread.start()
    return self.asked

  def __exit__(self, *error):
    self._stop.set()
    for thread in self._threads:
      thread.join()

  def _ask(self):
    while not self._stop.is_set():
      began = time.perf_counter()
      with self._model.pinned() as snapshot:
        answer = snapshot(self._images)
      seconds = time.perf_counter() - began
      word = snapshot.composition
      self.asked.milliseconds[word].append(1e3 * seconds)
      golden = self._golden[word]
      if not np.allclose(
        answer, golden, rtol=0, atol=1e-4 * np.abs(golden).max()
      ):
        self.asked.wrong.append(word)


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.swap", description=__doc__.split("\n")[0]
  )
  bundles.add_arguments(parser)
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--cycles", type=int, default=5)
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  given = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as temporary:
    directory = given.dir or pathlib.Path(temporary) / "bundle"
    bundles.make_bundle(given.preset, directory, store=given.store)
    with pwl_jax.open(directory) as model:
      found = measure(model, given.threads, given.cycles)
  show(found)
  if given.json:
    given.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(model, threads: int, cycles: int) -> dict:
  shape = (1, *model.manifest.input.image)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  golden, quiet = {}, {}
  for word in model.manifest.ladder:
    model.upgrade(to=word).wait()
    golden[word] = model(images)
    with Load(model, golden, images, threads) as asked:
      time.sleep(QUIET_SECONDS / len(model.manifest.ladder))
    quiet |= asked.milliseconds
  held = [holdings(model)]
  with Load(model, golden, images, threads) as asked:
    for cycle in range(cycles):
      model.downgrade().wait()
      model.upgrade().wait()
      if cycle == cycles // 10:
        held.append(holdings(model))
  held.append(holdings(model))
  return {
    "compositions": {
      word: {
        "requests": len(asked.milliseconds[word]),
        "quiet_p99_ms": float(np.percentile(quiet[word], 99)),
        "busy_p99_ms": float(np.percentile(asked.milliseconds[word], 99)),
      }
      for word in model.manifest.ladder
      if asked.milliseconds[word]
    },
    "wrong": len(asked.wrong),
    "failed": sum(event.kind == "failed" for event in model.events),
    "held": held,
  }


def holdings(model) -> dict[str, float]:
  gc.collect()
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
  return {
    "resident_mb": pages * resource.getpagesize() / 1e6,
    "live_arrays": len(jax.live_arrays()),
    "weights_mb": model.resident_bytes / 1e6,
  }


def show(found: dict):
  table = Table(
    *("composition", "requests", "quiet p99 ms", "p99 ms in changes", "ratio"),
    box=None,
  )
  for word, figures in found["compositions"].items():
    quiet, busy = figures["quiet_p99_ms"], figures["busy_p99_ms"]
    table.add_row(
      word,
      f"{figures['requests']:,}",
      f"{quiet:.1f}",
      f"{busy:.1f}",
      f"{busy / quiet:.2f}",
    )
  console = Console()
  console.print(table)
  console.print(f"wrong answers {found['wrong']}, failed {found['failed']}")
  for held in found["held"]:
    console.print(", ".join(f"{name} {n:,.1f}" for name, n in held.items()))


if __name__ == "__main__":
  main()
