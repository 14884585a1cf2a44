"""Recipes side by side: what each makes of the student and every composition.

  python -m benchmarks.quality --recipes=paper,mixed --seeds=0,1,2
  python -m benchmarks.quality --config=configs/cifar.py:resnet,cifar10,small \
    --picture=recipes.png --workdir=runs/quality_cifar \
    -- --config.data.data_dir=DIR

Every seed has one teacher, and every recipe (pwl_jax/recipes.py) distils and
evaluates on it; with --students the run of the first recipe also has the
student trained on its own and by plain distillation. What is complete is not
done again, so the same command goes on where it was ended. Behind -- come flags
of pwl_jax.main.

Accuracies in %, means over the seeds, and the spread is their standard
deviation. Choices belong on the held-out examples; those of the test are to be
reported. `worst` is the worst of all compositions,
`below` how many are worse than the student, `margin` by how much the worst that
is half replaced is better, `dip` the largest step down of the prefix order;
`before` is without calibration. The picture has the test examples.
"""

import itertools
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import processes
from benchmarks.quality_picture import picture
from benchmarks.records import Record, parser_of, tell
from pwl_jax.evaluation.examine import SPLITS
from pwl_jax.method import composition as compositions
from pwl_jax.method.checks import check_choice
from pwl_jax.recipes import RECIPES
from pwl_jax.report.drawing import to_png
from pwl_jax.report.results import read

Found = Mapping[str, list[Any]]  # Results of each recipe, by seed.
STUDENTS = ("student_plain", "student_kd")
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
      stages = ["teacher", "distill", "evaluate"]
      if given.students and name == recipes[0]:
        stages[1:1] = STUDENTS
      run([*common, *taught], place / name, ",".join(stages))
      found[name].append(read(place / name / "report" / "results.json"))
  title = f"{given.config}, seeds {given.seeds}"
  records = [
    make(found, split, f"{what}, {title}, {EXAMPLES[split]}")
    for what, make in TABLES.items()
    for split in SPLITS
  ]
  tell(records, given.json)
  if given.picture:
    drawn = picture(each_seed(found, "test"), EXAMPLES["test"])
    given.picture.write_bytes(to_png(drawn))
  return records


def run(command: Sequence[str], workdir: pathlib.Path, stages: str):
  """One run of the pipeline."""
  flags = [f"--workdir={workdir}", f"--config.stages={stages}"]
  processes.run([*command, *flags])


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


def each_seed(found: Found, split: str) -> dict[str, dict[str, list[float]]]:
  """recipe -> network -> the accuracy of every seed."""
  known: dict[str, dict[str, list[float]]] = {}
  for name, runs in found.items():
    each = [accuracies(results, split) for results in runs]
    known[name] = {
      network: [one[network] for one in each] for network in each[0]
    }
  return known


def accuracies(results: Mapping[str, Any], split: str) -> dict[str, float]:
  """Of one run: of the students, then of all compositions as served."""
  students = {
    name: found
    for name, found in results["networks"].items()
    if name in STUDENTS
  }
  return percent(students | results["compositions"], split)


def percent(scored: Mapping[str, Any], split: str) -> dict[str, float]:
  return {name: 100 * found[split]["top1"] for name, found in scored.items()}


def figures(results: Mapping[str, Any], split: str) -> dict[str, float]:
  """Of one run."""
  known = results["compositions"]
  served = percent(known, split)
  before = percent(
    {word: c["uncalibrated"] or c for word, c in known.items()}, split
  )
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
