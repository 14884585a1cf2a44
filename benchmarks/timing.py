"""Several things measured in turns, so that noise meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def in_turns(
  cases: Mapping[str, Callable[[], Any]], *, rounds: int
) -> dict[str, list[float]]:
  """Seconds of each call, by case; the first call of each is not counted."""
  for run in cases.values():
    jax.block_until_ready(run())
  found = {name: [] for name in cases}
  for _ in range(rounds):
    for name, run in cases.items():
      began = time.perf_counter()
      jax.block_until_ready(run())
      found[name].append(time.perf_counter() - began)
  return found


def summary(seconds: list[float]) -> dict[str, float]:
  return {
    "median_ms": 1e3 * statistics.median(seconds),
    "best_ms": 1e3 * min(seconds),
  }
