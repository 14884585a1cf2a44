"""Requests while units are swapped: how long they take, and if all are right.

  python -m benchmarks.swap --preset=vit_small_tiny --cycles=100
  python -m benchmarks.swap --preset=tiny_resnet --threads=4 --cycles=500

Threads ask without a break: during a first upgrade, for which nothing was
compiled before; while nothing changes, at every rung in turn; and then while
the model goes up and down. Every answer is compared with that of the
composition that gave it. Of a composition while it is being left, the p99 is
told beside its quiet p99; "all" are all requests, each in quiet p99s of the
composition that answered. Last comes what the process holds, as it goes on.
"""

import argparse
import array
import collections
import gc
import json
import pathlib
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import pwl_jax
from benchmarks import bundles
from pwl_jax.data.inputs import noise

QUIET_SECONDS = 1.0  # At each rung.
FEW = 100  # Requests of which a p99 says little.
PARTS = 4  # Of the cycles, between which it is looked at what is held.

# By composition; small, so that what it takes is not taken for a leak.
Milliseconds = dict[str, array.array]


class Load:
  """Threads that ask without a break, while they are entered."""

  def __init__(self, model, examples, threads: int, see: Callable):
    self._model, self._examples, self._see = model, examples, see
    self._stop = threading.Event()
    self.milliseconds: Milliseconds = collections.defaultdict(_milliseconds)
    self.failed: list[str] = []
    self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

  def __enter__(self):
    for thread in self._threads:
      thread.start()
    return self

  def __exit__(self, *error):
    self._stop.set()
    for thread in self._threads:
      thread.join()

  def _ask(self):
    while not self._stop.is_set():
      began = time.perf_counter()
      try:
        with self._model.pinned() as snapshot:
          answer = snapshot(self._examples)
      except Exception as error:
        self.failed.append(repr(error))
        continue
      seconds = time.perf_counter() - began
      word = snapshot.composition
      self.milliseconds[word].append(1e3 * seconds)
      self._see(word, answer)


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.swap", description=__doc__.split("\n")[0]
  )
  bundles.add_arguments(parser)
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--cycles", type=int, default=100)
  parser.add_argument(
    "--rate", type=float, help="bytes per second to read; no limit by default"
  )
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  given = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as temporary:
    directory = given.dir or pathlib.Path(temporary) / "bundle"
    bundles.make_bundle(given.preset, directory, store=given.store)
    with pwl_jax.open(
      directory,
      cache_dir=pathlib.Path(temporary) / "programs",
      max_bytes_per_second=given.rate,
    ) as model:
      found = measure(model, given.threads, given.cycles)
  show(found)
  if given.json:
    given.json.write_text(json.dumps(found, indent=2) + "\n")


def measure(model, threads: int, cycles: int) -> dict:
  examples = noise(model.manifest.input, 1)
  answers, golden, quiet, wrong = [], {}, {}, []
  with Load(
    model, examples, threads, lambda *seen: answers.append(seen)
  ) as first:
    model.upgrade(policy="every").wait()

  def check(word, answer):
    scale = np.abs(golden[word]).max()
    if not np.allclose(answer, golden[word], rtol=0, atol=1e-4 * scale):
      wrong.append(word)

  failed = list(first.failed)
  for word in model.manifest.ladder:
    model.upgrade(to=word).wait()
    golden[word] = model(examples)
    with Load(model, examples, threads, check) as load:
      time.sleep(QUIET_SECONDS)
    quiet |= load.milliseconds
    failed += load.failed
  for seen in answers:
    check(*seen)
  held, busy = [holdings(model)], collections.defaultdict(_milliseconds)
  for part in range(PARTS):
    with Load(model, examples, threads, check) as load:
      for _ in range(cycles * part // PARTS, cycles * (part + 1) // PARTS):
        model.downgrade().wait()
        model.upgrade(policy="every").wait()
    for word, taken in load.milliseconds.items():
      busy[word] += taken
    failed += load.failed
    held.append(holdings(model))
  return {
    "compiling": compared(first.milliseconds, quiet),
    "changing": compared(busy, quiet),
    "wrong": len(wrong),
    "failed_requests": len(failed),
    "failed_changes": sum(event.kind == "failed" for event in model.events),
    "held": held,
  }


def compared(busy: Milliseconds, quiet: Milliseconds) -> dict[str, dict]:
  """By composition, and of all together."""
  limits = {word: p99(taken) for word, taken in quiet.items()}
  found = {
    word: {
      "requests": len(busy[word]),
      "quiet_p99_ms": limits[word],
      "p99_ms": p99(busy[word]),
      "ratio": p99(busy[word]) / limits[word],
    }
    for word in limits
    if busy.get(word)
  }
  ratios = [ms / limits[word] for word, taken in busy.items() for ms in taken]
  if ratios:
    found["all"] = {"requests": len(ratios), "ratio": p99(ratios)}
  return found


def _milliseconds() -> array.array:
  return array.array("f")


def p99(taken: Sequence[float]) -> float:
  return float(np.percentile(taken, 99))


def holdings(model) -> dict[str, float]:
  gc.collect()
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
  return {
    "resident_mb": pages * resource.getpagesize() / 1e6,
    "live_arrays": len(jax.live_arrays()),
    "weights_mb": model.resident_bytes / 1e6,
  }


def show(found: dict):
  console = Console()
  for title in ("compiling", "changing"):
    table = Table(
      *("composition", "requests", "quiet p99 ms", "p99 ms", "ratio"),
      title=f"While {title}",
      box=None,
    )
    for word, figures in found[title].items():
      few = " (few)" if figures["requests"] < FEW else ""
      table.add_row(
        word,
        f"{figures['requests']:,}{few}",
        *(
          f"{figures[k]:.1f}" if k in figures else ""
          for k in ("quiet_p99_ms", "p99_ms")
        ),
        f"{figures['ratio']:.2f}",
      )
    console.print(table)
  console.print(
    f"wrong answers {found['wrong']}, failed requests "
    f"{found['failed_requests']}, failed changes {found['failed_changes']}"
  )
  for held in found["held"]:
    console.print(", ".join(f"{name} {n:,.1f}" for name, n in held.items()))


if __name__ == "__main__":
  main()
