"""Reports one run, or compares several.

  python -m pwl_jax.report runs/digits
  python -m pwl_jax.report runs/digits-* --out=runs/comparison

Of one run it writes RUN/report/ anew from what was measured; several are put
into groups of seeds, with means and spreads.
"""

import argparse
import collections
import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console

from pwl_jax.report import compare_page, places, run, summary, writing


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.report",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "runs", nargs="+", type=pathlib.Path, metavar="RUN", help="a --workdir"
  )
  parser.add_argument(
    "--out",
    type=pathlib.Path,
    metavar="DIR",
    help="where a comparison is written; beside the first RUN by default",
  )
  options = parser.parse_args(arguments)
  console = Console(highlight=False)
  try:
    _report(options.runs, options.out, console)
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _report(
  workdirs: list[pathlib.Path], out: pathlib.Path | None, console: Console
):
  for path, times in collections.Counter(
    workdir.resolve() for workdir in workdirs
  ).items():
    if times > 1:
      raise ValueError(f"{path} is given twice; give every run once")
  given, comparisons = places.split(workdirs)
  for path in comparisons:
    _say(console, f"{path} is a comparison, and is left out")
  if not given:
    raise ValueError("no run is left to report; give the --workdir of a run")
  if len(given) == 1:
    page = _one(given[0], out, console)
  else:
    page = _several(given, out, console)
  _say(console, str(page))


def _one(
  workdir: pathlib.Path, out: pathlib.Path | None, console: Console
) -> pathlib.Path:
  if out:
    raise ValueError(
      "--out is for comparisons; the report of one run lies in "
      f"{workdir / run.REPORT}"
    )
  found = run.read(workdir)
  page = writing.write(found)
  console.print(summary(found.results))
  return page


def _several(
  workdirs: list[pathlib.Path], out: pathlib.Path | None, console: Console
) -> pathlib.Path:
  directory = places.for_comparison(
    out or workdirs[0].resolve().parent / "comparison"
  )
  runs = [run.read(workdir) for workdir in workdirs]
  page, groups = compare_page.write_comparison(runs, directory)
  console.print(compare_page.summary(groups))
  return page


def _say(console: Console, line: str):
  console.print(line, soft_wrap=True, markup=False)


if __name__ == "__main__":
  sys.exit(main())
