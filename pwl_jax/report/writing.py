"""Writes the report of one run: a page, and its pictures beside it."""

import pathlib

from pwl_jax.report import (
  curves,
  families,
  fewer_bits,
  lattice,
  loading,
  memory,
  page,
  serving,
)
from pwl_jax.report import run as runs
from pwl_jax.report.drawing import Picture, to_png
from pwl_jax.report.run import Run
from pwl_jax.whole import write_whole

PAGE = "report.html"
PICTURES = ("families", "loading", "lattice", "memory", "curves")


def write_report(workdir: pathlib.Path) -> pathlib.Path:
  """Writes `workdir/report/report.html` and pictures; returns the page's path.

  Without `workdir/report/results.json` it shows what the stages have written.
  """
  return write(runs.read(pathlib.Path(workdir)))


def write(run: Run) -> pathlib.Path:
  return write_pages(
    run.workdir / runs.REPORT,
    page.of_run(run, pictures := pictures_of(run)),
    pictures,
    (*PICTURES, serving.NAME, fewer_bits.NAME),
  )


def pictures_of(run: Run) -> list[Picture]:
  found = (
    families.picture(run.results),
    loading.picture(run.results),
    serving.picture(run.served) if run.served else None,
    lattice.picture(run.results),
    memory.picture(run.results),
    fewer_bits.picture(run.precisions) if run.precisions else None,
    curves.picture(run.curves, run.results["stages"]),
  )
  return [picture for picture in found if picture]


def write_pages(
  directory: pathlib.Path,
  text: str,
  pictures: list[Picture],
  names: tuple[str, ...],
) -> pathlib.Path:
  """Each file whole or not at all; no picture of an earlier report is left."""
  directory.mkdir(parents=True, exist_ok=True)
  for picture in pictures:
    write_whole(directory / f"{picture.name}.png", to_png(picture))
  for name in set(names) - {picture.name for picture in pictures}:
    (directory / f"{name}.png").unlink(missing_ok=True)
  write_whole(directory / PAGE, text)
  return directory / PAGE
