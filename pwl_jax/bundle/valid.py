"""Whether a manifest says what can be served: that its parts fit one another.

A digest tells that a text is as it was written, not that it was written well.
Here a ValueError names the field that is wrong. The smaller checks are for
whoever writes a manifest, and has some of its parts.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence

from pwl_jax.bundle import inputs, parts
from pwl_jax.bundle.parts import Manifest
from pwl_jax.method import composition as compositions

_STATISTICS = "batch_stats/"  # How the names of such leaves begin.


def check(manifest: Manifest):
  """Raises unless what a manifest says fits together."""
  _check_pieces(manifest)  # First: others count on there being num_units.
  if isinstance(manifest.input, inputs.ImageInput):
    channels = manifest.input.image[-1]
    for name in ("mean", "deviation"):
      check_channels(f"input.{name}", getattr(manifest.input, name), channels)
  if not manifest.platforms:
    raise ValueError("platforms names none")
  for name in ("pwl_jax", "jax"):
    if name not in manifest.versions:
      raise ValueError(f"versions has no {name}")
  check_ladder(manifest.ladder, manifest.num_units, manifest.coarse)
  _check_compositions(manifest)
  _check_files(manifest)


def check_channels(name: str, values: Sequence[float], channels: int):
  if len(values) != channels:
    raise ValueError(
      f"{name} is {tuple(values)}, for images of {channels} channels; give "
      "one number for each"
    )


def check_ladder(
  ladder: Sequence[str], num_units: int, coarse: Collection[int] = ()
):
  """Raises unless it climbs from the student to the teacher, unit by unit.

  Those in `coarse` may come in fewer bits first.
  """
  for word in ladder:
    compositions.validate(word, num_units, coarse)
  ends = compositions.STUDENT * num_units, compositions.TEACHER * num_units
  climbs = tuple(ladder[:1] + ladder[-1:]) == ends and all(
    compositions.climbs(below, above)
    for below, above in itertools.pairwise(ladder)
  )
  if not climbs:
    raise ValueError(
      f"the ladder is {list(ladder)}; it has to go from the student to the "
      "teacher, one unit changed per rung, as "
      f"{compositions.prefix(num_units)} does"
    )


def _check_compositions(manifest: Manifest):
  """What is known of each; there may be thousands."""
  sizes = {name: piece.nbytes for name, piece in manifest.pieces.items()}
  with_statistics = {
    name
    for name, piece in manifest.pieces.items()
    if any(leaf.startswith(_STATISTICS) for leaf in piece.leaves)
  }
  for word, found in manifest.compositions.items():
    manifest.validate(word)
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
  for i, letter in enumerate(compositions.in_full(word)):
    node = compositions.in_full(word[: i + 1])
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
    for letter in compositions.GROUPS
  }
  rests = {f"{parts.REST}/unit{i}" for i in manifest.coarse}
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
      if name not in rests:
        _check_node(name, manifest)
    _check_parts(name, manifest)
    if set(piece.programs) != roles:
      raise ValueError(
        f"pieces.{name}.programs has {sorted(piece.programs)}, not "
        f"{sorted(roles)}"
      )


def _check_parts(name: str, manifest: Manifest):
  """What a piece is made of, and how much of it is stored."""
  piece = manifest.pieces[name]
  made_of = parts.made_of(name, manifest.pieces)
  if piece.made_of != made_of:
    raise ValueError(
      f"pieces.{name}.made_of has {list(piece.made_of)}, not {list(made_of)}"
    )
  for part in made_of:
    if part not in manifest.pieces:
      raise ValueError(f"pieces has no {part}, which {name} is made of")
  for leaf, found in piece.leaves.items():
    if found.nonzero is not None and (found.nonzero > found.size or made_of):
      raise ValueError(
        f"pieces.{name}.leaves.{leaf} has {found.nonzero} numbers that are not "
        f"zero, of {found.size}"
      )
    if found.constant is not None and (
      made_of or found.nonzero is not None or found.dtype not in parts.CONSTANTS
    ):
      raise ValueError(
        f"pieces.{name}.leaves.{leaf} is {found.constant} throughout, which "
        "arrays of its kind never are"
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
  for leaf, (dtype, shape, *_) in manifest.pieces[name].leaves.items():
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
    if piece.has_place and place not in places:
      raise ValueError(f"files has nothing of {name}, which lies at {place}")
