"""What a command line asks for, in numbers.

What makes no sense is refused here, before anything is loaded or rehearsed.
"""

import argparse
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play import quantities
from pwl_jax.runtime.routes import POLICIES

MOST = {"batch": 65_536, "threads": 1024}
LONGEST = 86_400  # Seconds; a day.


class Asked(NamedTuple):
  """All that was given; None where it was not."""

  bundle: pathlib.Path
  bandwidth: float | None  # Bytes per second.
  requests: float  # Per second.
  batch: int
  threads: int
  policy: str
  budget: int | None  # Bytes.
  seconds: float
  data: str | None
  data_dir: str | None
  out: pathlib.Path | None
  cold: bool
  no_comparison: bool


def read(arguments: Sequence[str] | None, description: str) -> Asked:
  """Raises a ValueError that names the flag and what it takes."""
  given = vars(_parser(description).parse_args(arguments))
  for name, most in MOST.items():
    if not 1 <= given[name] <= most:
      raise ValueError(f"--{name} is {given[name]}; give 1 to {most:,}")
  if not 0 <= given["seconds"] <= LONGEST:
    raise ValueError(f"--seconds is {given['seconds']}; give 0 to {LONGEST}")
  for name, amount in (
    ("requests", quantities.per_second),
    ("bandwidth", quantities.bytes_per_second),
    ("budget", quantities.nbytes),
  ):
    if given[name] is not None:
      given[name] = amount(f"--{name}", given[name])
  return Asked(**given)


def check_budget(budget: int | None, manifest: Manifest):
  """The student is served first, so it has to fit."""
  student = "S" * manifest.num_units
  pieces = manifest.pieces_of(student)
  least = sum(manifest.pieces[piece].nbytes for piece in pieces)
  if budget is not None and budget < least:
    raise ValueError(
      f"--budget is {budget:,} bytes, and the student, {student}, takes "
      f"{least:,}; give at least that"
    )


def _parser(description: str) -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.play",
    description=description,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--bundle", type=pathlib.Path, required=True, metavar="DIR")
  add("--bandwidth", help="of a slow storage to simulate, such as 20MB/s")
  add("--requests", default="200/s", help="that are due (default: 200/s)")
  add(
    "--batch",
    type=int,
    default=1,
    help="examples of a request (default: 1)",
  )
  add("--threads", type=int, default=2, help="that ask (default: 2)")
  add("--policy", choices=POLICIES, default="better", help="of the upgrade")
  add("--budget", help="of memory for the weights, such as 50MB")
  add(
    "--seconds",
    type=float,
    default=2.0,
    help="to go on after the upgrade (default: 2)",
  )
  add("--data", metavar="NAME", help="a data set; the bundle's by default")
  add("--data_dir", metavar="DIR", help="where it lies")
  add("--out", type=pathlib.Path, metavar="DIR", help="where to write")
  add(
    "--cold",
    action="store_true",
    help="compile everything anew; otherwise all is rehearsed before",
  )
  add(
    "--no_comparison",
    action="store_true",
    help="do not load the teacher plainly before, to compare with",
  )
  return parser
