"""All benchmarks, or those that are named; tables here, and files of them.

  python -m benchmarks
  python -m benchmarks train_step --out=benchmarks/results
  python -m benchmarks --quick --out=/tmp/results

Each is a command and a process of its own, so that settings and leftovers of
one are nothing to the others. Writes OUT/MACHINE/NAME.json and NAME.md after
each, so that --missing goes on where an earlier call was ended. The steps of
the PyTorch peer are cases where torch is installed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

from benchmarks import machine
from benchmarks.plans import NAMES, Plan, make_plan
from benchmarks.processes import measured
from benchmarks.records import Record, markdown
from pwl_jax.method.checks import check_choice


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks", description=__doc__.split("\n")[0]
  )
  parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
  parser.add_argument("--quick", action="store_true", help="tiny sizes")
  parser.add_argument(
    "--out", type=pathlib.Path, default=pathlib.Path("benchmarks/results")
  )
  parser.add_argument(
    "--missing", action="store_true", help="keeps what was measured before"
  )
  parser.add_argument(
    "--no_torch", action="store_true", help="leaves the peer out"
  )
  given = parser.parse_args(argv)
  for name in given.names:
    check_choice("benchmark", name, NAMES)
  # Other processes that are measured, and torch, want memory of the device too.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  for name in given.names or NAMES:
    plan = make_plan(name, quick=given.quick, torch=not given.no_torch)
    run(name, plan, given.out / machine.slug(), missing=given.missing)


def run(name: str, plan: Plan, folder: pathlib.Path, *, missing: bool):
  """Every command of the plan, or those that the file does not have."""
  path = folder / f"{name}.json"
  there = read(path) if missing and path.exists() else {}
  commands = {
    " ".join(["python -m", f"benchmarks.{name}", *arguments]): arguments
    for arguments in plan.commands
  }
  found = {c: there[c] for c in commands if c in there}
  for command, arguments in commands.items():
    if command not in found:
      print(f"\n$ {command}", flush=True)
      found[command] = measured(name, arguments)
    write(path, name, found, plan.left_out)


def read(path: pathlib.Path) -> dict[str, list[Record]]:
  """The records of each command in a file."""
  return {
    run["command"]: [Record(**record) for record in run["records"]]
    for run in json.loads(path.read_text())["runs"]
  }


def write(
  path: pathlib.Path,
  name: str,
  found: dict[str, Sequence[Record]],
  left_out: Sequence[str],
):
  where = {"hardware": machine.hardware(), "versions": machine.versions()}
  runs = [
    {"command": command, "records": [dataclasses.asdict(r) for r in records]}
    for command, records in found.items()
  ]
  page = [f"# {name} on {path.parent.name}", ""]
  for what, values in where.items():
    told = ", ".join(f"{key} {value}" for key, value in values.items())
    page += [f"{what.capitalize()}: {told}.", ""]
  page += [f"Left out: {reason}.\n" for reason in left_out]
  for command, records in found.items():
    page += [f"    {command}", "", *map(markdown, records)]
  path.parent.mkdir(parents=True, exist_ok=True)
  written = {**where, "left_out": list(left_out), "runs": runs}
  path.write_text(json.dumps(written, indent=2) + "\n")
  path.with_suffix(".md").write_text("\n".join(page).rstrip() + "\n")


if __name__ == "__main__":
  main()
