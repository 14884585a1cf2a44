"""`results.json`: everything that was measured of a run, in a fixed form.

docs/report.md names every field. `read` returns only what it has checked, so
that whoever shows results need not ask whether a rung was measured.
"""

import itertools
import json
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

from pwl_jax.method import composition as compositions
from pwl_jax.report import forms
from pwl_jax.report.schema import EXTRAS, FORM, SPLITS

SCHEMA = 1
# From the least to the most able; "student" is the swap network's, alone.
NETWORKS = ("student_plain", "student_kd", "student", "teacher")
STAGES = ("teacher", "student_plain", "student_kd", "distill")
LADDERS = ("planned", "prefix", "suffix")

EVALUATE = "the command of the run and --config.stages=evaluate"
AGAIN = f"move it away, and make it again with {EVALUATE}"
ROUNDING = 1e-9  # Of intervals that end where the accuracy is, at 0 and 1.

Results = dict[str, Any]


def read(path: pathlib.Path) -> Results:
  """Reads and checks; the error is one line that says what to do."""
  if not path.exists():
    raise FileNotFoundError(f"{path} is missing; make it with {EVALUATE}")
  try:
    found = json.loads(path.read_bytes(), parse_constant=_no_number)
    return check(found)
  except _Newer as error:
    raise ValueError(f"{path} {error}") from None
  except (ValueError, RecursionError) as error:
    reason = textwrap.shorten(str(error), 200, placeholder=" ...")
    raise ValueError(f"{path} is damaged ({reason}); {AGAIN}") from None


def _no_number(name: str):
  raise ValueError(f"{name} is no number that was measured")


class _Newer(ValueError):
  pass


def check(results: Any) -> Results:
  """The results with every optional part there, or None; raises if wrong."""
  forms.fields({"schema": forms.anything})(results, "")
  schema = results["schema"]
  if forms.is_whole(schema) and schema > SCHEMA:
    raise _Newer(
      f"has schema {schema}, written by a newer pwl_jax; this one reads "
      f"schema {SCHEMA}: update pwl_jax"
    )
  if not forms.is_whole(schema) or schema != SCHEMA:
    raise ValueError(f"schema {schema!r}, where {SCHEMA} is known")
  FORM(results, "")
  # What is not looked at above must be fit to be written again, too.
  json.dumps(results, allow_nan=False, ensure_ascii=False).encode()
  _check_scores(results)
  _check_references(results)
  return dict.fromkeys(EXTRAS) | results


def _check_scores(results: Results):
  """Accuracies lie within their intervals."""
  measured = {f"networks.{n}": f for n, f in results["networks"].items()}
  for word, found in results["compositions"].items():
    compositions.validate(word, len(results["units"]))
    measured[word] = found
    measured[f"{word}, uncalibrated"] = found["uncalibrated"] or {}
  for (name, found), split in itertools.product(measured.items(), SPLITS):
    score = found.get(split)
    if score is None:
      continue
    edges = [*score["interval"]]
    edges.insert(1, score["top1"])
    if len(edges) != 3 or any(
      after < before - ROUNDING for before, after in itertools.pairwise(edges)
    ):
      raise ValueError(f"{name}: {split} is {score}")


def _check_references(results: Results):
  """Whatever names a composition names one that was measured."""
  known = results["compositions"]
  words: list[tuple[str, str]] = []
  for name, members in results["families"].items():
    words += [(f"families.{name}", word) for word in members]
  for name, ladder in results["ladders"].items():
    _check_ladder(f"ladders.{name}", ladder, len(results["units"]))
    words += [(f"ladders.{name}", word) for word in ladder["rungs"]]
  chosen = results["budgets"]
  words += [("budgets", found["composition"]) for found in chosen]
  if results.get("budget"):
    words.append(("budget", results["budget"]["composition"]))
  for name, word in words:
    if word not in known:
      raise ValueError(f"{name} names {word!r}, which was not measured")
  sizes = [found["bytes"] for found in chosen]
  if sizes != sorted(sizes):
    raise ValueError(f"budgets are not in order: {sizes}")


def _check_ladder(name: str, ladder: Mapping[str, Any], num_units: int):
  if compositions.ladder(ladder["order"]) != ladder["rungs"]:
    raise ValueError(f"{name}: the rungs are not those of the order")
  if len(ladder["rungs"]) != num_units + 1:
    raise ValueError(f"{name}: {num_units} units need as many steps")
  for key in ("loaded_bytes", "loaded_seconds"):
    values = ladder.get(key)
    if values is None:
      continue
    if len(values) != num_units + 1 or sorted(values) != values:
      raise ValueError(f"{name}: {key} is {values}")
  loaded = ladder["loaded_bytes"]
  if loaded[0] != 0 or (num_units and not loaded[-1]):
    raise ValueError(f"{name}: loaded_bytes is {loaded}, not from 0 to all")
