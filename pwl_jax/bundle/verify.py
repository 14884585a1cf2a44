"""Whether everything in a bundle is what was written."""

import pathlib
from collections.abc import Callable, Iterator

from pwl_jax.bundle import files, ours
from pwl_jax.bundle.parts import Damaged
from pwl_jax.bundle.reading import Bundle, open_bundle

Watch = Callable[[str], object]  # Told of what is read next.


def _unwatched(name: str):
  del name


def verify(
  directory: pathlib.Path | str, watch: Watch = _unwatched
) -> list[str]:
  """Reads all of it; what is wrong, a sentence each."""
  try:
    bundle = open_bundle(directory)
  except (ValueError, OSError) as error:
    return [str(error)]
  return [
    *_programs(bundle, watch),
    *_pieces(bundle, watch),
    *_files(bundle, watch),
    *_unknown(bundle),
  ]


def _programs(bundle: Bundle, watch: Watch) -> Iterator[str]:
  for name, piece in bundle.manifest.pieces.items():
    for role in piece.programs:
      watch(f"the {role} program of {name}")
      try:
        bundle.program_bytes(name, role)
      except (Damaged, OSError) as error:
        yield str(error)


def _pieces(bundle: Bundle, watch: Watch) -> Iterator[str]:
  broken = set()  # Nothing more is said of what is made of these.
  for name in bundle.manifest.pieces:
    if broken.intersection(bundle.manifest.parts_of(name)):
      continue
    watch(name)
    try:
      leaves = list(bundle.each_leaf(name))
    except OSError as error:
      broken.add(name)
      yield f"{name}: {error}"
      continue
    wrong = [str(array) for _, array in leaves if isinstance(array, Damaged)]
    if len(wrong) == len(leaves) > 1:  # A page of what is one fault.
      wrong = [f"all {len(leaves)} arrays of {name}, such as {wrong[0]}"]
    if wrong:
      broken.add(name)
    yield from wrong


def _files(bundle: Bundle, watch: Watch) -> Iterator[str]:
  """Those that hold the pieces; readers of other makes look at all of them.

  They were read for their arrays just now, and come out of the page cache.
  """
  for name, digest in bundle.manifest.files.items():
    watch(name)
    try:
      files.check(bundle.directory / name, digest)
    except (Damaged, OSError) as error:
      yield str(error)


def _unknown(bundle: Bundle) -> Iterator[str]:
  """Files that no one wrote, in the folders that belong to the bundle."""
  known = set(ours.names(bundle.manifest))
  for name in sorted(ours.present(bundle.directory)):
    path = bundle.directory / name
    is_in = name.split("/")[0] in ours.FOLDERS and not path.is_dir()
    if is_in and name not in known:
      yield f"{path} is not in the manifest"
