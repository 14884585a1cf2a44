"""Looks at a bundle.

  python -m pwl_jax.bundle inspect runs/digits/bundle
  python -m pwl_jax.bundle verify runs/digits/bundle

`inspect` shows what is in it. `verify` reads all of it and names whatever is
not as it was written; its exit code is 1 then.
"""

import argparse
import contextlib
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

from pwl_jax.bundle.manifest import read
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.text import plain
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
    print(plain(f"error: {error}"), file=sys.stderr)
    return 1
  return 0


def _inspect(directory: pathlib.Path):
  from rich.console import Console

  from pwl_jax.bundle.inspect import page

  console = Console(highlight=False)
  console.print(page(open_bundle(directory), console))


def _verify(directory: pathlib.Path):
  with _shown_on_terminal() as watch:
    wrong = verify(directory, watch)
  for line in wrong:
    print(plain(line))
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


@contextlib.contextmanager
def _shown_on_terminal() -> Iterator[Callable[[str], None]]:
  """What is read, on a line that is gone afterwards; nothing in a log."""
  if not sys.stderr.isatty():
    yield lambda name: None
    return
  width = shutil.get_terminal_size().columns - 1

  def show(line: str):
    print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)

  try:
    yield lambda name: show(plain(f"reading {name}"))
  finally:
    show("")


if __name__ == "__main__":
  sys.exit(main())
