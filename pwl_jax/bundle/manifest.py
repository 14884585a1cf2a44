"""What a bundle holds, as its manifest.json tells it.

  bundle/
    manifest.json  all of this page; the file that makes a directory a bundle
    programs/      student-unit0.run.bin, converters-boundary1.encode.bin, ...
    weights/       the pieces, but for
    calibration/   the batch statistics of calibrated compositions

The manifest carries a digest of its own text, and one of everything else, so
whoever trusts it can verify the rest. Reading it takes the standard library
alone.
"""

import hashlib
import json
import math
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pwl_jax.bundle import text
from pwl_jax.method import composition as compositions

FORMAT = 1
NAME = "manifest.json"
STORES = ("orbax", "safetensors")
RUN, ENCODE, DECODE = "run", "encode", "decode"  # The roles of programs.
CONVERTERS, CALIBRATION = "converters", "calibration"
_UNSIGNED = "0" * 64  # In place of the digest in the text it is taken of.


class Damaged(ValueError):
  """Files do not hold what was written."""


class Leaf(NamedTuple):
  """One array of a piece."""

  dtype: str
  shape: tuple[int, ...]
  sha256: str  # Of its bytes, row by row.

  @property
  def itemsize(self) -> int:
    return itemsize(self.dtype)

  @property
  def nbytes(self) -> int:
    return math.prod(self.shape) * self.itemsize


class Piece(NamedTuple):
  """What is stored, read and swapped alone."""

  leaves: Mapping[str, Leaf]  # By path, such as params/block0/conv0/kernel.
  programs: Mapping[str, str]  # Role -> sha256 of the file.

  @property
  def nbytes(self) -> int:
    return sum(leaf.nbytes for leaf in self.leaves.values())


class Composition(NamedTuple):
  """What is known of one composition."""

  nbytes: int  # Of its units, and of the converters where it switches.
  valid: float | None  # Accuracy on held-out examples, of 1.
  test: float | None
  calibrated: bool  # Whether it runs on batch statistics of its own.


class Input(NamedTuple):
  """What the first units take: uint8 pixels; they normalise them."""

  image: tuple[int, ...]  # Height, width, channels.
  mean: tuple[float, ...]
  deviation: tuple[float, ...]
  # "exact": images have this size. "centre": others are cut and resized to it
  # as pwl_jax.data.views.centre_view does, which the network was trained for.
  resize: str


class Manifest(NamedTuple):
  """Everything about a bundle but the arrays and programs themselves."""

  num_units: int
  input: Input
  class_names: tuple[str, ...]
  store: str
  pieces: Mapping[str, Piece]
  compositions: Mapping[str, Composition]
  ladder: tuple[str, ...]  # From the student to the teacher.
  config: Mapping[str, Any]  # What it was made with.
  versions: Mapping[str, str]  # Of pwl_jax and jax, when it was written.
  platforms: tuple[str, ...]  # That the programs run on.
  files: Mapping[str, str]  # sha256 by path, of what holds the pieces.

  def unit(self, letter: str, i: int) -> str:
    """The piece of unit i of the network that the letter names."""
    return f"{compositions.ROLES[letter]}/unit{i}"

  def boundary(self, i: int) -> str | None:
    """The piece of converter i; None where features pass as they are."""
    return self._known(f"{CONVERTERS}/boundary{i}")

  def node(self, beginning: str) -> str | None:
    """The piece with the statistics of the last unit of a beginning.

    They replace leaves of the unit, in calibrated compositions that begin
    like this; None where the unit keeps its own.
    """
    return self._known(f"{CALIBRATION}/{beginning}")

  def pieces_of(self, word: str) -> tuple[str, ...]:
    """All that one composition runs on, in the order it is needed."""
    compositions.validate(word, self.num_units)
    found: list[str | None] = []
    for i, letter in enumerate(word):
      if i and letter != word[i - 1]:
        found.append(self.boundary(i - 1))
      found.append(self.unit(letter, i))
      if word in self.compositions and self.compositions[word].calibrated:
        found.append(self.node(word[: i + 1]))
    return tuple(name for name in found if name)

  def _known(self, name: str) -> str | None:
    return name if name in self.pieces else None


def itemsize(dtype: str) -> int:
  """Bytes of one number: "float32" -> 4; the bits are in the name."""
  bits = re.search(r"\d+", dtype)
  return max(1, int(bits[0]) // 8) if bits else 1  # bool has no number.


def program_file(piece: str, role: str) -> str:
  """Where a program lies in a bundle."""
  return f"programs/{file_name(piece)}.{role}.bin"


def weights_place(piece: str, store: str) -> str:
  """Where a piece lies in a bundle: an Orbax item, or a file."""
  folder = CALIBRATION if piece.startswith(f"{CALIBRATION}/") else "weights"
  ending = ".safetensors" if store == "safetensors" else ""
  return f"{folder}/{file_name(piece)}{ending}"


def file_name(piece: str) -> str:
  return piece.replace("/", "-")


def read(directory: pathlib.Path | str) -> Manifest:
  """The manifest of a bundle, if it is whole."""
  directory = pathlib.Path(directory)
  try:
    written = (directory / NAME).read_bytes()
  except (FileNotFoundError, NotADirectoryError):
    raise FileNotFoundError(_nothing_there(directory)) from None
  try:
    return from_json(written.decode())
  except Damaged as error:
    raise Damaged(f"{directory / NAME} {error}") from None
  except UnicodeDecodeError:
    raise Damaged(f"{directory / NAME} is damaged: it is no text") from None
  except ValueError as error:
    raise ValueError(f"{directory / NAME} {error}") from None


def to_json(manifest: Manifest) -> str:
  """The text of manifest.json, which ends in a digest of itself."""
  fields = manifest._asdict()
  fields["pieces"] = {
    name: {"leaves": piece.leaves, "programs": piece.programs}
    for name, piece in manifest.pieces.items()
  }
  fields["input"] = manifest.input._asdict()
  fields["compositions"] = {
    word: found._asdict() for word, found in manifest.compositions.items()
  }
  unsigned = text.render({"format": FORMAT, **fields, "sha256": _UNSIGNED})
  return _signed(unsigned)


def from_json(written: str) -> Manifest:
  """The inverse of `to_json`; raises what is wrong, without its subject."""
  try:
    fields = json.loads(written)
    version, digest = fields.pop("format"), fields.pop("sha256")
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    raise Damaged("is damaged: it is no manifest") from None
  if isinstance(version, int) and version > FORMAT:
    raise ValueError(
      f"has format version {version}, and this pwl_jax reads versions up to "
      f"{FORMAT}; install a newer pwl_jax, or export the bundle with this one"
    )
  head, _, tail = written.rpartition(str(digest) or _UNSIGNED)
  if version != FORMAT or _signed(head + _UNSIGNED + tail) != written:
    raise Damaged("is damaged: it does not have the digest that it names")
  return _parse(fields)


def _parse(fields: dict[str, Any]) -> Manifest:
  """JSON has neither tuples nor named ones."""
  pixels = {name: _tuple(value) for name, value in fields["input"].items()}
  return Manifest(
    **{
      **fields,
      "input": Input(**pixels),
      "class_names": tuple(fields["class_names"]),
      "ladder": tuple(fields["ladder"]),
      "platforms": tuple(fields["platforms"]),
      "pieces": {
        name: Piece(dict(_leaves(piece["leaves"])), piece["programs"])
        for name, piece in fields["pieces"].items()
      },
      "compositions": {
        word: Composition(**found)
        for word, found in fields["compositions"].items()
      },
    }
  )


def _leaves(found: Mapping[str, list]) -> Iterator[tuple[str, Leaf]]:
  for name, (dtype, shape, digest) in found.items():
    yield name, Leaf(dtype, tuple(shape), digest)


def _tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value


def _signed(unsigned: str) -> str:
  """With the digest in its place, the last one that is all zeros."""
  digest = hashlib.sha256(unsigned.encode()).hexdigest()
  head, _, tail = unsigned.rpartition(_UNSIGNED)
  return head + digest + tail


def _nothing_there(directory: pathlib.Path) -> str:
  from pwl_jax.bundle.placing import set_aside  # Only a writer needs the rest.

  aside = set_aside(directory)
  if aside:
    return (
      f"there is no bundle at {directory}: a writer was killed while it put "
      f"a new one there; the old one is whole, and lies at {aside}: rename it "
      "back, or export again"
    )
  return (
    f"there is no bundle at {directory} ({NAME} is missing); "
    "python -m pwl_jax.main with --config.stages=export makes one"
  )
