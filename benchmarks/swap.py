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

import array
import collections
import gc
import pathlib
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

import pwl_jax
from benchmarks import bundles
from benchmarks.records import Record, parser_of, tell
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


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.swap", __doc__)
  bundles.add_arguments(parser)
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--cycles", type=int, default=100)
  parser.add_argument(
    "--rate", type=float, help="bytes per second to read; no limit by default"
  )
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
  title = f"{given.preset}, {given.store}, threads that ask: {given.threads}"
  return tell(records_of(found, title), given.json)


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
    "first": compared(first.milliseconds, quiet),
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


def records_of(found: dict, title: str) -> list[Record]:
  few = [f"Of fewer than {FEW} requests a p99 says little."]
  counts = ("wrong", "failed_requests", "failed_changes")
  return [
    Record(f"requests during the first upgrade: {title}", found["first"], few),
    Record(f"requests while units change: {title}", found["changing"], few),
    Record(
      "what went wrong", {name: {"number": found[name]} for name in counts}
    ),
    Record(
      "what the process holds",
      {
        f"after {i}/{PARTS} of the cycles": held
        for i, held in enumerate(found["held"])
      },
    ),
  ]


if __name__ == "__main__":
  main()
