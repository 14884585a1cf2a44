"""What a new bundle may take the place of: nothing, or an older bundle.

Whoever writes over a directory deletes it, so it has to be sure whose it is.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator

from pwl_jax.bundle import files, manifest, parts

FOLDERS = (parts.PROGRAMS, parts.WEIGHTS, parts.CALIBRATION)
_KEYS = ("format", "pieces")  # Of the manifests of every version.
_NAMED = 3  # Of foreign files.


def check(directory: pathlib.Path, *, place: pathlib.Path | None = None):
  """Raises unless a bundle, and nothing else, would be lost.

  `place` is where it is said to be, if it was moved to be looked at.
  """
  place = place or directory
  if not os.path.lexists(directory):
    return
  if not directory.is_dir() or not (
    _is_ours(directory) or _is_empty(directory)
  ):
    raise ValueError(
      f"{place} is there and is no bundle; move it away, or write to "
      "another place"
    )
  foreign = sorted(_foreign(directory))
  if foreign:
    more = f" and {len(foreign) - _NAMED} more" if foreign[_NAMED:] else ""
    raise ValueError(
      f"the bundle at {place} has files that are not its own: "
      f"{', '.join(foreign[:_NAMED])}{more}; move them away, or write to "
      "another place"
    )


def _is_empty(directory: pathlib.Path) -> bool:
  return not any(directory.iterdir())


def _is_ours(directory: pathlib.Path) -> bool:
  """Of any version, and also if it is damaged."""
  try:
    path = directory / manifest.NAME
    written = files.read(path, at_most=manifest.MOST_BYTES)
  except (OSError, ValueError):
    return False
  try:
    found = json.loads(written)
  except (ValueError, RecursionError):  # The keys may be left.
    return all(f'"{key}":'.encode() in written for key in _KEYS)
  return isinstance(found, dict) and found.keys() >= set(_KEYS)


def _foreign(directory: pathlib.Path) -> Iterator[str]:
  """Files beside those that the manifest names, by their paths.

  If it cannot be read, those beside its folders.
  """
  own = None
  with contextlib.suppress(OSError, ValueError):
    own = set(names(manifest.read(directory)))
  for name in present(directory):
    is_own = name.split("/")[0] in FOLDERS if own is None else name in own
    if name != manifest.NAME and not is_own:
      yield name


def names(found: parts.Manifest) -> Iterator[str]:
  """All files of a bundle but its manifest."""
  yield from found.files
  for name, piece in found.pieces.items():
    for role in piece.programs:
      yield parts.program_file(name, role)


def present(directory: pathlib.Path) -> Iterator[str]:
  """Whatever is no folder under a directory, links to folders too."""
  for folder, folders, others in os.walk(directory):
    links = [n for n in folders if os.path.islink(os.path.join(folder, n))]
    for name in (*links, *others):
      yield os.path.relpath(os.path.join(folder, name), directory)
