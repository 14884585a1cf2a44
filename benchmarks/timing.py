"""Several things measured in turns, so that noise meets all of them alike."""

import json
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
from rich.console import Console
from rich.table import Table


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


def tell(
  found: Mapping[str, Mapping[str, float]],
  base: str,
  *,
  title: str,
  path: pathlib.Path | None,
):
  """A table with ratios to the case `base`; the figures to a file, if any."""
  devices = jax.devices()
  where = f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}"
  columns = ("case", "median ms", "best ms", f"to {base}")
  table = Table(*columns, title=f"{title}, {where}", box=None)
  for name, figures in found.items():
    ratio = figures["median_ms"] / found[base]["median_ms"]
    numbers = (figures["median_ms"], figures["best_ms"])
    table.add_row(name, *(f"{n:.1f}" for n in numbers), f"{ratio:.2f}")
  Console().print(table)
  if path:
    path.write_text(json.dumps(found, indent=2) + "\n")
