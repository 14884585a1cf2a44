"""Recipes side by side: what each makes of the student and every composition.

  python -m benchmarks.quality --recipes=paper,mixed --seeds=0,1,2
  python -m benchmarks.quality --config=configs/cifar.py:resnet,cifar10,small \
    --workdir=runs/quality_cifar -- --config.data.data_dir=DIR

Every seed has one teacher, and every recipe (pwl_jax/recipes.py) distils and
evaluates on it. What is complete is not done again, so the same command goes on
where it was ended. Behind -- come flags of pwl_jax.main.

Accuracies in %, means over the seeds. Choices belong on the held-out examples;
those of the test are to be reported. `worst` is the worst of all compositions,
`below` how many are worse than the student, `margin` by how much the worst that
is half replaced is better, `dip` the largest step down of the prefix order;
`before` is without calibration.
"""

import itertools
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import processes
from benchmarks.records import Record, parser_of, tell
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.method import composition as compositions
from pwl_jax.method.checks import check_choice
from pwl_jax.recipes import RECIPES
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
  parser.add_argument("flags", nargs="*", help="of pwl_jax.main, behind --")
  given = parser.parse_args(argv)
  recipes = given.recipes.split(",")
  for name in recipes:
    check_choice("recipe", name, RECIPES)
  command = [sys.executable, "-m", "pwl_jax.main", f"--config={given.config}"]
  found: dict[str, list[Any]] = {name: [] for name in recipes}
  for seed in map(int, given.seeds.split(",")):
    place = given.workdir / f"seed{seed}"
    common = [*command, f"--config.seed={seed}", *given.flags]
    run(common, place / "teacher", "teacher")
    for name in recipes:
      taught = [
        f"--config.imported.path={place / 'teacher' / 'teacher'}",
        "--config.imported.trains=nothing",
        f"--config.recipe={name}",
      ]
      run([*common, *taught], place / name, "teacher,distill,evaluate")
      found[name].append(read(place / name / "report" / "results.json"))
  title = f"recipes, {given.config}, seeds {given.seeds}"
  return tell(
    [table(found, split, f"{title}, {EXAMPLES[split]}") for split in SPLITS],
    given.json,
  )


def run(command: Sequence[str], workdir: pathlib.Path, stages: str):
  """One run of the pipeline."""
  flags = [f"--workdir={workdir}", f"--config.stages={stages}"]
  processes.run([*command, *flags])


def table(found: Mapping[str, list[Any]], split: str, title: str) -> Record:
  rows = {}
  for name, runs in found.items():
    each = [figures(results, split) for results in runs]
    rows[name] = {
      quantity: statistics.mean(one[quantity] for one in each)
      for quantity in each[0]
    }
    if len(each) > 1:
      for quantity in ("student", "worst", "margin"):
        spread = statistics.stdev(one[quantity] for one in each)
        rows[name][f"{quantity}_spread"] = spread
  notes = [f"{name}: {RECIPES[name].says}" for name in found]
  return Record(title, rows, notes)


def figures(results: Mapping[str, Any], split: str) -> dict[str, float]:
  """Of one run."""
  known = results["compositions"]
  served = {word: 100 * c[split]["top1"] for word, c in known.items()}
  before = {
    word: 100 * (c["uncalibrated"] or c)[split]["top1"]
    for word, c in known.items()
  }
  rungs = compositions.prefix(len(next(iter(known))))
  student, teacher = served[rungs[0]], served[rungs[-1]]
  mixed = [served[word] for word in served if len(set(word)) > 1]
  return {
    "teacher": teacher,
    "student": student,
    "worst": min(served.values()),
    "mean": statistics.mean(served.values()),
    "below": sum(value < student for value in served.values()),
    "margin": min(mixed) - student,
    "dip": _dip([served[word] for word in rungs]),
    "worst_before": min(before.values()),
    "mean_before": statistics.mean(before.values()),
    "dip_before": _dip([before[word] for word in rungs]),
  }


def _dip(values: Sequence[float]) -> float:
  """The largest step down, and 0 where there is none."""
  return max(0.0, *(a - b for a, b in itertools.pairwise(values)))


if __name__ == "__main__":
  main()
