"""Looks at a bundle.

  python -m pwl_jax.bundle inspect runs/digits/bundle
  python -m pwl_jax.bundle verify runs/digits/bundle

`inspect` shows what is in it. `verify` reads all of it and names whatever is
not as it was written; its exit code is 1 then.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from pwl_jax.bundle.manifest import read
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.bundle",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("what", choices=("inspect", "verify"))
  parser.add_argument("directory", type=pathlib.Path, metavar="DIR")
  options = parser.parse_args(arguments)
  try:
    {"inspect": _inspect, "verify": _verify}[options.what](options.directory)
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _inspect(directory: pathlib.Path):
  from rich.console import Console

  from pwl_jax.bundle.inspect import page

  Console(highlight=False).print(page(open_bundle(directory)))


def _verify(directory: pathlib.Path):
  wrong = verify(directory)
  for line in wrong:
    print(line)
  if wrong:
    count = "one thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
    raise ValueError(f"{count} not as they were written in {directory}")
  pieces = read(directory).pieces.values()
  leaves = sum(len(piece.leaves) for piece in pieces)
  programs = sum(len(piece.programs) for piece in pieces)
  print(
    f"{directory} is whole: {leaves} arrays of {len(pieces)} pieces and "
    f"{programs} programs are as they were written"
  )


if __name__ == "__main__":
  sys.exit(main())
