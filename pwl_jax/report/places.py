"""Which directories are runs, which are comparisons, and what may go where."""

import pathlib
from collections.abc import Sequence

from pwl_jax.report import stages
from pwl_jax.report.results import STAGES
from pwl_jax.report.run import REPORT, RESULTS

ELSEWHERE = "give --out=DIR, a directory that is not in a run"


def is_comparison(directory: pathlib.Path) -> bool:
  """By the groups in its results."""
  return "groups" in stages.read_object(directory / RESULTS)


def is_run(directory: pathlib.Path) -> bool:
  """Whether the pipeline is, or was, at work in it."""
  owned = all((directory / name).is_file() for name in (stages.CONFIG, "lock"))
  marks = [
    f"{name}/{file}"
    for name in (*STAGES, stages.EVALUATION)
    for file in (stages.RESULT, stages.METRICS)
  ]
  report = directory / REPORT
  evaluated = (report / RESULTS).exists() and not is_comparison(report)
  return (
    owned or evaluated or any((directory / mark).exists() for mark in marks)
  )


def split(
  workdirs: Sequence[pathlib.Path],
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
  """Runs, and the comparisons among them, as in runs/*."""
  beside = [
    path for path in workdirs if is_comparison(path) and not is_run(path)
  ]
  return [path for path in workdirs if path not in beside], beside


def for_comparison(directory: pathlib.Path) -> pathlib.Path:
  """Returns it; raises where a comparison would take another's place."""
  whole = directory.resolve()
  for place in (whole, *whole.parents):
    if is_run(place):
      lies = "is" if place == whole else f"lies in {place}, which is"
      raise ValueError(
        f"{directory} {lies} a run, whose report is its own; {ELSEWHERE}"
      )
  if whole.exists() and not whole.is_dir():
    raise ValueError(f"{directory} is no directory; {ELSEWHERE}")
  if (whole / RESULTS).exists() and not is_comparison(whole):
    raise ValueError(
      f"{directory} has a {RESULTS} that is no comparison's, and would be "
      f"overwritten; {ELSEWHERE}, or move it away"
    )
  return directory
