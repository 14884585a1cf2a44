"""Reports one run, or compares several.

  python -m pwl_jax.report runs/digits
  python -m pwl_jax.report runs/digits-* --out=runs/comparison

Of one run it writes RUN/report/ anew from what was measured; several are put
into groups of seeds, with means and spreads.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console

from pwl_jax.report import compare_page, run, summary, writing


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
  places = [workdir.resolve() for workdir in workdirs]
  for place in places:
    if places.count(place) > 1:
      raise ValueError(f"{place} is given twice; give every run once")
  runs = [run.read(workdir) for workdir in workdirs]
  if len(runs) == 1:
    if out:
      raise ValueError(
        "--out is for comparisons; the report of one run lies in "
        f"{workdirs[0] / run.REPORT}"
      )
    page = writing.write(runs[0])
    console.print(summary(runs[0].results))
  else:
    directory = out or places[0].parent / "comparison"
    page, groups = compare_page.write_comparison(runs, directory)
    console.print(compare_page.summary(groups))
  console.print(str(page), soft_wrap=True, markup=False)


if __name__ == "__main__":
  sys.exit(main())
