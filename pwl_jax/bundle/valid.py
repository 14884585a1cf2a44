"""Whether a manifest says what can be served: that its parts fit one another.

A digest tells that a text is as it was written, not that it was written well.
Here a ValueError names the field that is wrong. The smaller checks are for
whoever writes a manifest, and has some of its parts.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence

from pwl_jax.bundle import parts
from pwl_jax.bundle.parts import Manifest
from pwl_jax.method import composition as compositions

_STATISTICS = "batch_stats/"  # How the names of such leaves begin.


def check(manifest: Manifest):
  """Raises unless what a manifest says fits together."""
  _check_pieces(manifest)  # First: others count on there being num_units.
  if isinstance(manifest.input, parts.ImageInput):
    channels = manifest.input.image[-1]
    for name in ("mean", "deviation"):
      check_channels(f"input.{name}", getattr(manifest.input, name), channels)
  if not manifest.platforms:
    raise ValueError("platforms names none")
  for name in ("pwl_jax", "jax"):
    if name not in manifest.versions:
      raise ValueError(f"versions has no {name}")
  check_ladder(manifest.ladder, manifest.num_units)
  _check_compositions(manifest)
  _check_files(manifest)


def check_channels(name: str, values: Sequence[float], channels: int):
  if len(values) != channels:
    raise ValueError(
      f"{name} is {tuple(values)}, for images of {channels} channels; give "
      "one number for each"
    )


def check_ladder(ladder: Sequence[str], num_units: int):
  """Raises unless it climbs from the student to the teacher, unit by unit."""
  for word in ladder:
    compositions.validate(word, num_units)
  climbs = len(ladder) == num_units + 1 and all(
    _is_rung(below, above) for below, above in itertools.pairwise(ladder)
  )
  if not climbs:
    raise ValueError(
      f"the ladder is {list(ladder)}; it has to go from the student to the "
      "teacher, one unit changed per rung, as "
      f"{compositions.prefix(num_units)} does"
    )


def _is_rung(below: str, above: str) -> bool:
  changes = [a + b for a, b in zip(below, above, strict=True) if a != b]
  return changes == [compositions.STUDENT + compositions.TEACHER]


def _check_compositions(manifest: Manifest):
  """What is known of each; there may be thousands."""
  sizes = {name: piece.nbytes for name, piece in manifest.pieces.items()}
  with_statistics = {
    name
    for name, piece in manifest.pieces.items()
    if any(leaf.startswith(_STATISTICS) for leaf in piece.leaves)
  }
  for word, found in manifest.compositions.items():
    compositions.validate(word, manifest.num_units)
    needed = _nodes_of(word, with_statistics) if found.calibrated else ()
    for node in needed:
      if node not in manifest.pieces:
        raise ValueError(
          f"compositions.{word} is calibrated, and there is no {node}"
        )
    size = sum(sizes[name] for name in manifest.pieces_of(word))
    if found.nbytes != size:
      raise ValueError(
        f"compositions.{word}.nbytes is {found.nbytes:,}, and its pieces have "
        f"{size:,} bytes"
      )


def _nodes_of(word: str, with_statistics: Collection[str]) -> Iterator[str]:
  """The calibration pieces that a calibrated composition runs on.

  Every unit behind a switch has one, if it has batch statistics at all.
  """
  for i, letter in enumerate(word):
    node = word[: i + 1]
    unit = f"{compositions.ROLES[letter]}/unit{i}"
    if len(set(node)) > 1 and unit in with_statistics:
      yield f"{parts.CALIBRATION}/{node}"


def _check_pieces(manifest: Manifest):
  """Every unit, and nothing that is none of the pieces there may be."""
  pieces = manifest.pieces
  for i in range(manifest.num_units):
    for letter in compositions.ROLES:
      if manifest.unit(letter, i) not in pieces:
        raise ValueError(
          f"num_units is {manifest.num_units}, and pieces has no "
          f"{manifest.unit(letter, i)}"
        )
  units = {
    manifest.unit(letter, i)
    for i in range(manifest.num_units)
    for letter in compositions.ROLES
  }
  converters = {
    f"{parts.CONVERTERS}/boundary{i}" for i in range(manifest.num_units - 1)
  }
  for name, piece in pieces.items():
    if name in units:
      roles = {parts.RUN}
    elif name in converters:
      roles = {parts.ENCODE, parts.DECODE}
    else:
      roles = set()
      _check_node(name, manifest)
    if set(piece.programs) != roles:
      raise ValueError(
        f"pieces.{name}.programs has {sorted(piece.programs)}, not "
        f"{sorted(roles)}"
      )


def _check_node(name: str, manifest: Manifest):
  """Statistics behind a switch, which replace leaves of a unit."""
  group, _, node = name.partition("/")
  known = (
    group == parts.CALIBRATION
    and len(node) <= manifest.num_units
    and set(node) == set(compositions.ROLES)
  )
  if not known:
    raise ValueError(
      f"pieces has {name!r}, which is no piece of networks of "
      f"{manifest.num_units} units"
    )
  unit = manifest.unit(node[-1], len(node) - 1)
  own = manifest.pieces[unit].leaves
  if not manifest.pieces[name].leaves:
    raise ValueError(f"pieces.{name} has no leaves")
  for leaf, (dtype, shape, _) in manifest.pieces[name].leaves.items():
    if leaf not in own or own[leaf][:2] != (dtype, shape):
      raise ValueError(
        f"pieces.{name}.leaves has {leaf}, {dtype}{list(shape)}, which "
        f"replaces nothing of {unit}"
      )


def _check_files(manifest: Manifest):
  """Every piece lies in a file, or in several, that can be verified."""
  places = set(manifest.files)
  for name in manifest.files:
    folders = name.split("/")
    places |= {"/".join(folders[:i]) for i in range(2, len(folders))}
  for name, piece in manifest.pieces.items():
    place = parts.weights_place(name, manifest.store)
    if piece.leaves and place not in places:
      raise ValueError(f"files has nothing of {name}, which lies at {place}")
