"""Several runs: those that differ in the seed alone are one group.

What runs on other data or with other units have in common is compared: the
networks, the orders of loading by the share that is loaded, the worst
composition, the worst step, the accuracy while loading.
"""

import bisect
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.report import findings
from pwl_jax.report.results import LADDERS, NETWORKS, Results
from pwl_jax.report.run import Run

SCHEMA = 1
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # Of the teacher's bytes.
# They change where things lie and how they are shown, but no result.
FREE = (
  "data.data_dir",
  "data.cache_dir",
  "data.workers",
  "data.tokenizer",
  "imported.path",
  "started.path",
  "stages",
  "parallel",
  "steps_per_call",
  "log_every",
  "evaluation_batch",
  "profile",
  "evaluation.memory_budget",
  "export.format",
  "export.platforms",
  "export.student",
  "export.teacher",
  "export.fit_examples",
  "export.directory",
)
SEED = "seed"

Values = dict[str, float]  # name of a quantity -> of one run


class Summary(NamedTuple):
  """Of one quantity over the runs of a group."""

  n: int
  mean: float
  spread: float | None  # Sample standard deviation; None of one run.


class Group(NamedTuple):
  """Runs whose configs are alike but for the seed."""

  name: str  # A, B, ...
  runs: list[Run]
  values: list[Values]  # Run by run.

  def summary(self, name: str) -> Summary | None:
    found = [values[name] for values in self.values if name in values]
    return summarize(found) if found else None


def summarize(values: Sequence[float]) -> Summary:
  spread = statistics.stdev(values) if len(values) > 1 else None
  return Summary(len(values), statistics.fmean(values), spread)


def group(runs: Sequence[Run]) -> list[Group]:
  """In the order of their first runs."""
  found: dict[str, list[Run]] = {}
  for run in runs:
    found.setdefault(json.dumps(_identity(run), sort_keys=True), []).append(run)
  return [
    Group(group_name(i), members, [values_of(run.results) for run in members])
    for i, members in enumerate(found.values())
  ]


def group_name(i: int) -> str:
  """A to Z, then AA, AB, ..."""
  letter = chr(ord("A") + i % 26)
  return letter if i < 26 else group_name(i // 26 - 1) + letter


def _identity(run: Run) -> dict[str, Any]:
  config = run.results["config"]
  return {k: v for k, v in config.items() if k != SEED and k not in FREE}


def differing(groups: Sequence[Group]) -> dict[str, list[Any]]:
  """Field -> its value in every group, where they are not all the same."""
  fields = [_identity(group.runs[0]) for group in groups]
  names = sorted(set().union(*fields))
  found = {name: [known.get(name) for known in fields] for name in names}
  return {
    name: values
    for name, values in found.items()
    if any(value != values[0] for value in values)
  }


def values_of(results: Results) -> Values:
  """What is compared; what a run does not have is left out."""
  found: dict[str, float | None] = {}
  for name in NETWORKS:
    network = results["networks"].get(name)
    for split in ("test", "valid"):
      score = network and network[split]
      found[f"{split}.{name}"] = score["top1"] if score else None
  scores = findings.shown_scores(results)
  if len(scores) > 2:
    worst, _ = findings.extremes(scores)
    found["worst_composition"] = scores[worst[0]]["top1"]
  split = findings.shown_split(results)
  for name, climb in findings.climbs(results).items():
    found[f"{name}.worst_step"] = climb.ladder[split]["worst_step"]
    found[f"{name}.mean_accuracy"] = climb.ladder[split]["mean_accuracy"]
    for share in SHARES:
      found[f"{name}.at_{100 * share:.0f}"] = at_share(climb, share)
  return {name: value for name, value in found.items() if value is not None}


def at_share(climb: findings.Climb, share: float) -> float:
  """Accuracy once this share of the teacher's bytes is loaded."""
  loaded = climb.ladder["loaded_bytes"]
  k = bisect.bisect_right(loaded, share * loaded[-1]) - 1
  return climb.scores[k]["top1"]


def ladders(groups: Sequence[Group]) -> list[str]:
  """Those that any run has."""
  return [
    name
    for name in LADDERS
    if any(
      f"{name}.at_0" in values for group in groups for values in group.values
    )
  ]


def to_json(groups: Sequence[Group]) -> dict[str, Any]:
  """The comparison in a form of its own; docs/report.md names the fields."""
  return {
    "schema": SCHEMA,
    "differing": differing(groups),
    "groups": [
      {
        "name": group.name,
        "runs": [_run_to_json(run) for run in group.runs],
        "values": {
          name: _summary_to_json(group, name)
          for name in sorted(set().union(*group.values))
        },
      }
      for group in groups
    ],
  }


def _run_to_json(run: Run) -> dict[str, Any]:
  return {
    "workdir": str(run.workdir),
    "seed": run.results["config"].get(SEED),
    "evaluated": run.evaluated,
    "absent": run.results["absent"],
  }


def _summary_to_json(group: Group, name: str) -> Mapping[str, Any]:
  """`values` has null where a run lacks it."""
  each = [values.get(name) for values in group.values]
  return {**group.summary(name)._asdict(), "values": each}
