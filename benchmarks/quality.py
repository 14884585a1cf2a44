"""Recipes side by side: what each makes of the student and every composition.

  python -m benchmarks.quality --recipes=paper,mixed --seeds=0,1,2
  python -m benchmarks.quality --config=configs/cifar.py:resnet,cifar10,small \
    --picture=recipes.png --workdir=runs/quality_cifar \
    -- --config.data.data_dir=DIR

Every seed has one teacher, and every recipe (pwl_jax/recipes.py) distils and
evaluates on it; with --students the run of the first recipe also has the
student trained on its own and by plain distillation. What is complete is not
done again, so the same command goes on where it was ended. A recipe that fails
with one of the seeds is left out, and the tables say so. Behind -- come flags
of pwl_jax.main.

Accuracies in %, means over the seeds, and the spread is their standard
deviation. Choices belong on the held-out examples; those of the test are to be
reported. `worst` is the worst of all compositions,
`below` how many are worse than the student, `margin` by how much the worst that
is half replaced is better, `dip` the largest step down of the prefix order;
`before` is without calibration. The picture has the test examples.
"""

import argparse
import dataclasses
import pathlib
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import processes
from benchmarks.quality_figures import STUDENTS, Found, each_seed, figures
from benchmarks.quality_picture import picture
from benchmarks.records import Record, parser_of, tell
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.method.checks import check_choice
from pwl_jax.recipes import RECIPES
from pwl_jax.report.drawing import to_png
from pwl_jax.report.results import read

EXAMPLES = {"valid": "held-out", "test": "test"}


def main(argv: Sequence[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.quality", __doc__)
  parser.add_argument("--config", default="configs/digits.py")
  parser.add_argument(
    "--workdir", type=pathlib.Path, default=pathlib.Path("runs/quality")
  )
  parser.add_argument("--recipes", default=",".join(RECIPES))
  parser.add_argument("--seeds", default="0,1")
  parser.add_argument(
    "--students",
    action="store_true",
    help="trained without a swap network, too",
  )
  parser.add_argument("--picture", type=pathlib.Path, help="a PNG to write")
  parser.add_argument("flags", nargs="*", help="of pwl_jax.main, behind --")
  given = parser.parse_args(argv)
  recipes = given.recipes.split(",")
  for name in recipes:
    check_choice("recipe", name, RECIPES)
  seeds = [*map(int, given.seeds.split(","))]
  tried = {name: [] for name in recipes}
  for seed in seeds:
    for name, results in taught(given, recipes, seed):
      tried[name].append(results)
  found = {name: runs for name, runs in tried.items() if None not in runs}
  if not found:
    sys.exit(processes.FAILED)
  title = f"{given.config}, seeds {given.seeds}"
  records = [
    make(found, split, f"{what}, {title}, {EXAMPLES[split]}")
    for what, make in TABLES.items()
    for split in SPLITS
  ]
  failed = [*left_out(tried, seeds)]
  records = [
    dataclasses.replace(record, notes=[*record.notes, *failed])
    for record in records
  ]
  tell(records, given.json)
  if given.picture:
    drawn = picture(each_seed(found, "test"), EXAMPLES["test"])
    given.picture.write_bytes(to_png(drawn))
  return records


def taught(
  given: argparse.Namespace, recipes: Sequence[str], seed: int
) -> Iterator[tuple[str, Any]]:
  """The results of each recipe with one seed; None where it fails."""
  place = given.workdir / f"seed{seed}"
  command = [sys.executable, "-m", "pwl_jax.main", f"--config={given.config}"]
  command += [f"--config.seed={seed}", *given.flags]
  processes.run([*command, *one_run(place / "teacher", ["teacher"])])
  for name in recipes:
    stages = ["teacher", "distill", "evaluate"]
    if given.students and name == recipes[0]:
      stages[1:1] = STUDENTS
    flags = [
      f"--config.imported.path={place / 'teacher' / 'teacher'}",
      "--config.imported.trains=nothing",
      f"--config.recipe={name}",
      *one_run(place / name, stages),
    ]
    done = processes.succeeds([*command, *flags])
    results = place / name / "report" / "results.json"
    yield name, read(results) if done else None


def one_run(workdir: pathlib.Path, stages: Sequence[str]) -> list[str]:
  """Of the pipeline, as flags."""
  return [f"--workdir={workdir}", f"--config.stages={','.join(stages)}"]


def left_out(
  tried: Mapping[str, Sequence[Any]], seeds: Sequence[int]
) -> Iterator[str]:
  for name, runs in tried.items():
    failed = [
      seed for seed, run in zip(seeds, runs, strict=True) if run is None
    ]
    if failed:
      those = ", ".join(map(str, failed))
      yield f"{name} is left out: it failed with seed {those}, see above"


def by_recipe(found: Found, split: str, title: str) -> Record:
  rows = {}
  for name, runs in found.items():
    each = [figures(results, split) for results in runs]
    rows[name] = {
      quantity: statistics.mean(one[quantity] for one in each)
      for quantity in each[0]
    }
    for quantity in ("student", "worst", "margin"):
      rows[name] |= spread(quantity, [one[quantity] for one in each])
  notes = [f"{name}: {RECIPES[name].says}" for name in found]
  return Record(title, rows, notes)


def by_network(found: Found, split: str, title: str) -> Record:
  """Each composition by recipe, and the students without a swap network."""
  rows: dict[str, dict[str, float]] = {}
  for name, networks in each_seed(found, split).items():
    for network, values in networks.items():
      row = rows.setdefault(network, {})
      row |= {name: statistics.mean(values)} | spread(name, values)
  return Record(title, rows)


TABLES = {"recipes": by_recipe, "networks": by_network}


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
  """Of several seeds."""
  return {f"{name}_spread": statistics.stdev(values)} if len(values) > 1 else {}


if __name__ == "__main__":
  main()
