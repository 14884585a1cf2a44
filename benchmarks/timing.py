"""Several things measured in turns, so that noise meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Seconds = dict[str, list[float]]  # Of each call, by case, round by round.


def in_turns(
  cases: Mapping[str, Callable[[], Any]], *, rounds: int, settled: bool = False
) -> Seconds:
  """Seconds of each call, by case; the first call of each is not counted.

  Settled, nor is the first of each turn: it pays for caches and pages that the
  case before it has left, as calls behind calls of their own kind do not.
  """
  for run in cases.values():
    jax.block_until_ready(run())
  found = {name: [] for name in cases}
  for _ in range(rounds):
    for name, run in cases.items():
      if settled:
        jax.block_until_ready(run())
      began = time.perf_counter()
      jax.block_until_ready(run())
      found[name].append(time.perf_counter() - began)
  return found


def summaries(found: Seconds, base: str) -> dict[str, dict[str, float]]:
  """By case: the median, both quartiles, and the ratio to the case `base`."""
  return {
    name: {**summary(seconds), "ratio": ratio(seconds, found[base])}
    for name, seconds in found.items()
  }


def summary(seconds: list[float]) -> dict[str, float]:
  low, high = quartiles(seconds)
  return {
    "median_ms": 1e3 * statistics.median(seconds),
    "low_ms": 1e3 * low,
    "high_ms": 1e3 * high,
  }


def ratio(seconds: list[float], base: list[float]) -> float:
  """The median over rounds: what slows a round down slows both down."""
  pairs = zip(seconds, base, strict=True)
  return statistics.median(own / other for own, other in pairs)


def quartiles(values: list[float]) -> tuple[float, float]:
  """The first and the third; of one value, that."""
  if len(values) == 1:
    return values[0], values[0]
  first, _, third = statistics.quantiles(values, n=4, method="inclusive")
  return first, third


def explained(base: str, rounds: int, *, settled: bool = False) -> str:
  """What the columns of `summaries` are."""
  which = ", the second of two calls a turn" if settled else ""
  return (
    f"Cases in turns, {rounds} rounds{which}: the median, with the first and "
    f"the third quartile; ratio: to {base}, the median of the rounds' ratios."
  )
