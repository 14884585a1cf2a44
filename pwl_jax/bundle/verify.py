"""Whether everything in a bundle is what was written."""

import pathlib
from collections.abc import Iterator

from pwl_jax.bundle.manifest import Damaged
from pwl_jax.bundle.reading import Bundle, check_file, open_bundle


def verify(directory: pathlib.Path | str) -> list[str]:
  """Reads all of it; what is wrong, a sentence each."""
  try:
    bundle = open_bundle(directory)
  except (ValueError, OSError) as error:
    return [str(error)]
  return [*_programs(bundle), *_pieces(bundle), *_files(bundle)]


def _programs(bundle: Bundle) -> Iterator[str]:
  for name, piece in bundle.manifest.pieces.items():
    for role in piece.programs:
      try:
        bundle.program_bytes(name, role)
      except (Damaged, OSError) as error:
        yield str(error)


def _pieces(bundle: Bundle) -> Iterator[str]:
  for name in bundle.manifest.pieces:
    try:
      leaves = list(bundle.each_leaf(name))
    except OSError as error:
      yield f"{name}: {error}"
      continue
    wrong = [str(array) for _, array in leaves if isinstance(array, Damaged)]
    if len(wrong) == len(leaves) > 1:  # A page of what is one fault.
      wrong = [f"all {len(leaves)} arrays of {name}, such as {wrong[0]}"]
    yield from wrong


def _files(bundle: Bundle) -> Iterator[str]:
  """Those that hold the pieces; readers of other makes look at all of them."""
  for name, digest in bundle.manifest.files.items():
    try:
      check_file(bundle.directory / name, digest)
    except (Damaged, OSError) as error:
      yield str(error)
