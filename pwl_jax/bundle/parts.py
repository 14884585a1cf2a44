"""What a bundle consists of: its parts, their names, and where they lie.

bundle/
  manifest.json  all of this page; the file that makes a directory a bundle
  programs/      student-unit0.run.bin, converters-boundary1.encode.bin, ...
  weights/       the pieces, but for
  calibration/   the batch statistics of calibrated compositions

A teacher's unit may lie there in two pieces: `coarse/unit0`, which runs alone,
and `rest/unit0`, what makes it exact; `teacher/unit0` is made of them.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from pwl_jax.bundle.inputs import Input
from pwl_jax.method import composition as compositions

STORES = ("orbax", "safetensors")
RUN, ENCODE, DECODE = "run", "encode", "decode"  # The roles of programs.
CONVERTERS, CALIBRATION, REST = "converters", "calibration", "rest"
COARSE = compositions.GROUPS[compositions.COARSE]
WEIGHTS, PROGRAMS = "weights", "programs"
# Bytes of one number, of every kind that both stores can keep.
ITEMSIZES = {
  "bool": 1,
  "bfloat16": 2,
  "float8_e4m3fn": 1,
  "float8_e5m2": 1,
  **{f"float{bits}": bits // 8 for bits in (16, 32, 64)},
  **{f"int{bits}": bits // 8 for bits in (8, 16, 32, 64)},
  **{f"uint{bits}": bits // 8 for bits in (8, 16, 32, 64)},
}
CONSTANTS = ("float16", "float32", "float64")  # What JSON's numbers hold.


class Damaged(ValueError):
  """Files do not hold what was written."""


class Leaf(NamedTuple):
  """One array of a piece."""

  dtype: str
  shape: tuple[int, ...]
  sha256: str  # Of its bytes, row by row.
  # How many are stored, beside one bit for each that tells which those are;
  # the others are zero. None where all are stored.
  nonzero: int | None = None
  constant: float | None = None  # What all of them are; then none is stored.

  @property
  def size(self) -> int:
    return math.prod(self.shape)

  @property
  def itemsize(self) -> int:
    return ITEMSIZES[self.dtype]

  @property
  def nbytes(self) -> int:
    """In memory."""
    return self.size * self.itemsize

  @property
  def stored_bytes(self) -> int:
    if self.constant is not None:
      return 0
    if self.nonzero is None:
      return self.nbytes
    return -(-self.size // 8) + self.nonzero * self.itemsize


class Piece(NamedTuple):
  """What is read and swapped alone."""

  leaves: Mapping[str, Leaf]  # By path, such as params/block0/conv0/kernel.
  programs: Mapping[str, str]  # Role -> sha256 of the file.
  # The pieces that its leaves are made of; () where they are stored as they
  # are, in a place of its own.
  made_of: tuple[str, ...] = ()

  @property
  def nbytes(self) -> int:
    """In memory."""
    return sum(leaf.nbytes for leaf in self.leaves.values())

  @property
  def stored_bytes(self) -> int:
    """In its own place."""
    if self.made_of:
      return 0
    return sum(leaf.stored_bytes for leaf in self.leaves.values())

  @property
  def has_place(self) -> bool:
    """Whether anything of it is stored, if only empty arrays."""
    leaves = self.leaves.values()
    return not self.made_of and any(leaf.constant is None for leaf in leaves)


class Composition(NamedTuple):
  """What is known of one composition."""

  nbytes: int  # In memory, of all pieces that it runs on.
  valid: float | None  # Accuracy on held-out examples, of 1.
  test: float | None
  calibrated: bool  # Whether it runs on batch statistics of its own.


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
    return f"{compositions.GROUPS[letter]}/unit{i}"

  @property
  def coarse(self) -> tuple[int, ...]:
    """The units of the teacher that there are in fewer bits, too."""
    letter = compositions.COARSE
    units = range(self.num_units)
    return tuple(i for i in units if self.unit(letter, i) in self.pieces)

  def validate(self, word: str) -> str:
    """Returns a composition of what there is, or raises."""
    return compositions.validate(word, self.num_units, self.coarse)

  def boundary(self, i: int) -> str | None:
    """The piece of converter i; None where features pass as they are."""
    return self._known(f"{CONVERTERS}/boundary{i}")

  def node(self, beginning: str) -> str | None:
    """The piece with the statistics of the last unit of a beginning.

    They replace leaves of the unit, in calibrated compositions that begin
    like this, in fewer bits or not; None where the unit keeps its own.
    """
    return self._known(f"{CALIBRATION}/{compositions.in_full(beginning)}")

  def is_calibrated(self, word: str) -> bool:
    """Whether it runs on batch statistics of its own."""
    known = self.compositions
    found = known.get(word) or known.get(compositions.in_full(word))
    return found is not None and found.calibrated

  def pieces_of(self, word: str) -> tuple[str, ...]:
    """All that one composition runs on, in the order it is needed."""
    self.validate(word)
    found: list[str | None] = []
    for i, letter in enumerate(word):
      if i and compositions.is_switch(letter, word[i - 1]):
        found.append(self.boundary(i - 1))
      found.append(self.unit(letter, i))
      if self.is_calibrated(word):
        found.append(self.node(word[: i + 1]))
    return tuple(name for name in found if name)

  def bytes_of(self, word: str) -> int:
    """In memory, of all pieces that one composition runs on."""
    return sum(self.pieces[name].nbytes for name in self.pieces_of(word))

  def parts_of(self, piece: str) -> tuple[str, ...]:
    """The pieces that are read for one: itself, where it is stored as it is."""
    return self.pieces[piece].made_of or (piece,)

  def bytes_to_read(
    self, pieces: Iterable[str], held: Collection[str] = ()
  ) -> int:
    """Of files, for pieces in this order, where others are there already."""
    there, total = {*held}, 0
    for piece in pieces:
      for part in self.parts_of(piece):
        if part not in there:
          total += self.pieces[part].stored_bytes
      there.add(piece)
    return total

  def loading_bytes(self, piece: str, held: Collection[str] = ()) -> int:
    """In memory while it is read, with what it is made of and not yet held."""
    names = {piece, *self.parts_of(piece)}
    return sum(self.pieces[name].nbytes for name in names.difference(held))

  def _known(self, name: str) -> str | None:
    return name if name in self.pieces else None


def made_of(piece: str, pieces: Collection[str]) -> tuple[str, ...]:
  """As `Piece.made_of`, where there are pieces of these names."""
  role, _, unit = piece.partition("/")
  coarse = f"{COARSE}/{unit}"
  if role != compositions.ROLES[compositions.TEACHER] or coarse not in pieces:
    return ()
  return coarse, f"{REST}/{unit}"


def program_file(piece: str, role: str) -> str:
  """Where a program lies in a bundle."""
  return f"{PROGRAMS}/{file_name(piece)}.{role}.bin"


def weights_place(piece: str, store: str) -> str:
  """Where a piece lies in a bundle: an Orbax item, or a file."""
  folder = CALIBRATION if piece.startswith(f"{CALIBRATION}/") else WEIGHTS
  ending = ".safetensors" if store == "safetensors" else ""
  return f"{folder}/{file_name(piece)}{ending}"


def file_name(piece: str) -> str:
  return piece.replace("/", "-")
