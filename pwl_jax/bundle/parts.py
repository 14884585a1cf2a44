"""What a bundle consists of: its parts, their names, and where they lie.

bundle/
  manifest.json  all of this page; the file that makes a directory a bundle
  programs/      student-unit0.run.bin, converters-boundary1.encode.bin, ...
  weights/       the pieces, but for
  calibration/   the batch statistics of calibrated compositions
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pwl_jax.method import composition as compositions

STORES = ("orbax", "safetensors")
RESIZES = ("exact", "centre")
RUN, ENCODE, DECODE = "run", "encode", "decode"  # The roles of programs.
CONVERTERS, CALIBRATION = "converters", "calibration"
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


class Damaged(ValueError):
  """Files do not hold what was written."""


class Leaf(NamedTuple):
  """One array of a piece."""

  dtype: str
  shape: tuple[int, ...]
  sha256: str  # Of its bytes, row by row.

  @property
  def itemsize(self) -> int:
    return ITEMSIZES[self.dtype]

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

  nbytes: int  # Of all pieces that it runs on.
  valid: float | None  # Accuracy on held-out examples, of 1.
  test: float | None
  calibrated: bool  # Whether it runs on batch statistics of its own.


class ImageInput(NamedTuple):
  """The first units take uint8 pixels, and normalise them."""

  image: tuple[int, ...]  # Height, width, channels.
  mean: tuple[float, ...]
  deviation: tuple[float, ...]
  # "exact": images have this size. "centre": others are cut and resized to it
  # as pwl_jax.data.views.centre_view does, which the network was trained for.
  resize: str

  kind = "images"
  dtype = "uint8"

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example, as the first units take it."""
    return self.image


class TextInput(NamedTuple):
  """The first units take tokens, int32, with padding behind them."""

  length: int  # Of the tokens; longer texts are cut.
  tokenizer: str  # A tokenizer.json, as the library `tokenizers` reads it.

  kind = "texts"
  dtype = "int32"

  @property
  def shape(self) -> tuple[int, ...]:
    return (self.length,)


class SoundInput(NamedTuple):
  """The first units take int16 samples, with silence behind them."""

  samples: int  # Longer sounds are cut.
  sample_rate: int  # Per second.

  kind = "sounds"
  dtype = "int16"

  @property
  def shape(self) -> tuple[int, ...]:
    return (self.samples,)


INPUTS = {kind.kind: kind for kind in (ImageInput, TextInput, SoundInput)}
Input = ImageInput | TextInput | SoundInput


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

  def bytes_of(self, word: str) -> int:
    """Of all pieces that one composition runs on."""
    return sum(self.pieces[name].nbytes for name in self.pieces_of(word))

  def _known(self, name: str) -> str | None:
    return name if name in self.pieces else None


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
