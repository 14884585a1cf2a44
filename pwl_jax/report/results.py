"""`results.json`: everything that was measured of a run, in a fixed form.

docs/report.md names every field. `read` returns only what it has checked, so
that whoever shows results need not ask whether a rung was measured.
"""

import itertools
import json
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from pwl_jax.method import composition as compositions

SCHEMA = 1
# From the least to the most able; "student" is the swap network's, alone.
NETWORKS = ("student_plain", "student_kd", "student", "teacher")
STAGES = ("teacher", "student_plain", "student_kd", "distill")
LADDERS = ("planned", "prefix", "suffix")
SPLITS = ("valid", "test")
PARTS: dict[str, type] = {
  "config": dict,
  "data": dict,
  "absent": dict,
  "stages": dict,
  "networks": dict,
  "units": list,
  "compositions": dict,
  "families": dict,
  "ladders": dict,
  "budgets": list,
}
# May be left out or null.
EXTRAS = ("pwl_jax", "jax", "devices", "budget", "calibration", "refit")

EVALUATE = "the command of the run and --config.stages=evaluate"
AGAIN = f"move it away, and make it again with {EVALUATE}"
ROUNDING = 1e-9  # Of intervals that end where the accuracy is, at 0 and 1.

Results = dict[str, Any]


def read(path: pathlib.Path) -> Results:
  """Reads and checks; the error is one line that says what to do."""
  if not path.exists():
    raise FileNotFoundError(f"{path} is missing; make it with {EVALUATE}")
  try:
    found = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path} is damaged ({error}); {AGAIN}") from error
  try:
    return check(found)
  except _Newer as error:
    raise ValueError(f"{path} {error}") from None
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    reason = f"no {error}" if isinstance(error, KeyError) else error
    raise ValueError(f"{path} is damaged ({reason}); {AGAIN}") from None


class _Newer(ValueError):
  pass


def check(results: Any) -> Results:
  """The results with every optional part there, or None; raises if wrong."""
  if not isinstance(results, dict):
    raise ValueError(f"it holds a {type(results).__name__}, not an object")
  schema = results["schema"]
  if isinstance(schema, int) and schema > SCHEMA:
    raise _Newer(
      f"has schema {schema}, written by a newer pwl_jax; this one reads "
      f"schema {SCHEMA}: update pwl_jax"
    )
  if schema != SCHEMA:
    raise ValueError(f"schema {schema!r}, where {SCHEMA} is known")
  for name, kind in PARTS.items():
    if not isinstance(results[name], kind):
      raise ValueError(f"{name} is no {kind.__name__}")
  results = dict.fromkeys(EXTRAS) | results
  for name, network in results["networks"].items():
    _check_scores(f"networks.{name}", network)
    _check_numbers(f"networks.{name}", network, ("parameters", "bytes"))
  _check_units(results["units"])
  for word, measured in results["compositions"].items():
    compositions.validate(word, len(results["units"]))
    _check_scores(word, measured)
    _check_numbers(word, measured, ("bytes",))
  _check_references(results)
  return results


def _check_scores(name: str, measured: Mapping[str, Any]):
  for split in SPLITS:
    score = measured[split]
    if score is None:
      continue
    low, high = score["interval"]
    edges = (0, low, score["top1"], high, 1)
    if any(b < a - ROUNDING for a, b in itertools.pairwise(edges)):
      raise ValueError(f"{name}: {split} is {score}")
    _check_numbers(f"{name}.{split}", score, ("count",))


def _check_numbers(name: str, found: Mapping[str, Any], keys: tuple[str, ...]):
  for key in keys:
    value = found[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
      raise ValueError(f"{name}: {key} is {value!r}")


def _check_units(units: list[Any]):
  for i, unit in enumerate(units):
    for role in ("teacher", "student"):
      _check_numbers(f"unit {i}, {role}", unit[role], ("parameters", "bytes"))
    if unit.get("converter"):
      _check_numbers(f"converter {i}", unit["converter"], ("bytes",))


def _check_references(results: Results):
  """Whatever names a composition names one that was measured."""
  known = results["compositions"]
  named: list[tuple[str, str]] = []
  for name, words in results["families"].items():
    named += [(f"families.{name}", word) for word in words]
  for name, ladder in results["ladders"].items():
    _check_ladder(name, ladder, len(results["units"]))
    named += [(f"ladders.{name}", word) for word in ladder["rungs"]]
  for step in results["budgets"]:
    _check_numbers("budgets", step, ("bytes",))
    named.append(("budgets", step["composition"]))
  if results["budget"]:
    named.append(("budget", results["budget"]["composition"]))
  for name, word in named:
    if word not in known:
      raise ValueError(f"{name} names {word!r}, which was not measured")


def _check_ladder(name: str, ladder: Mapping[str, Any], num_units: int):
  if compositions.ladder(ladder["order"]) != ladder["rungs"]:
    raise ValueError(f"ladders.{name}: the rungs are not those of the order")
  if len(ladder["rungs"]) != num_units + 1:
    raise ValueError(f"ladders.{name}: {num_units} units need as many steps")
  for key in ("loaded_bytes", "loaded_seconds"):
    values = ladder.get(key)
    if values is None and key == "loaded_seconds":
      continue
    if len(values) != num_units + 1 or sorted(values) != list(values):
      raise ValueError(f"ladders.{name}: {key} is {values}")
  for split in SPLITS:
    _check_numbers(
      f"ladders.{name}", ladder[split], ("worst_step", "mean_accuracy")
    )


def accuracy(results: Results, split: str) -> dict[str, float]:
  """Of every composition that was measured on a split."""
  return of_scores(results["compositions"], split, lambda s: s["top1"])


def of_scores(
  measured: Mapping[str, Any], split: str, take: Callable[[Any], Any]
) -> dict[str, Any]:
  return {
    name: take(found[split]) for name, found in measured.items() if found[split]
  }
