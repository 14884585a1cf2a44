"""What a bundle holds, as its manifest.json tells it.

The manifest carries a digest of its own text, and one of everything else, so
whoever trusts it can verify the rest. Reading it takes the standard library
alone.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from pwl_jax.bundle import fields as manifest_fields
from pwl_jax.bundle import files, text, valid
from pwl_jax.bundle.inputs import INPUTS, ImageInput, Input
from pwl_jax.bundle.parts import (
  CALIBRATION,
  CONVERTERS,
  DECODE,
  ENCODE,
  RUN,
  STORES,
  Composition,
  Damaged,
  Leaf,
  Manifest,
  Piece,
  file_name,
  program_file,
  weights_place,
)

__all__ = [
  "CALIBRATION",
  "CONVERTERS",
  "DECODE",
  "ENCODE",
  "FORMAT",
  "NAME",
  "RUN",
  "STORES",
  "Composition",
  "Damaged",
  "ImageInput",
  "Input",
  "Leaf",
  "Manifest",
  "Piece",
  "file_name",
  "from_json",
  "program_file",
  "read",
  "to_json",
  "weights_place",
]

FORMAT = 2  # The newest; 1 has all but pieces that are packed or put together.
NAME = "manifest.json"
MOST_BYTES = 1 << 26  # Those of large networks have a hundredth of it.
_UNSIGNED = "0" * 64  # In place of the digest in the text it is taken of.


def read(directory: pathlib.Path | str) -> Manifest:
  """The manifest of a bundle, if it is whole."""
  directory = pathlib.Path(directory)
  path = directory / NAME
  try:
    written = files.read(path, at_most=MOST_BYTES)
  except (FileNotFoundError, NotADirectoryError):
    raise FileNotFoundError(_nothing_there(directory)) from None
  try:
    return from_json(written.decode())
  except Damaged as error:
    raise Damaged(f"{path} {error}") from None
  except UnicodeDecodeError:
    raise Damaged(f"{path} is damaged: it is no text") from None
  except ValueError as error:
    raise ValueError(f"{path} {error}") from None


def to_json(manifest: Manifest) -> str:
  """The text of manifest.json, which ends in a digest of itself."""
  fields = manifest._asdict()
  fields["pieces"] = {
    name: _told_piece(piece) for name, piece in manifest.pieces.items()
  }
  fields["input"] = _told(manifest.input)
  fields["compositions"] = {
    word: found._asdict() for word, found in manifest.compositions.items()
  }
  version = _format_of(manifest)
  unsigned = text.render({"format": version, **fields, "sha256": _UNSIGNED})
  return _signed(unsigned)


def _format_of(manifest: Manifest) -> int:
  """The oldest that says it: older readers are kept out of new things only."""
  is_new = any(
    piece.made_of
    or any(len(_told_leaf(leaf)) > 3 for leaf in piece.leaves.values())
    for piece in manifest.pieces.values()
  )
  return FORMAT if is_new else 1


def _told_leaf(leaf: Leaf) -> tuple:
  """Without what is None at its end, as the first format has it."""
  told = tuple(leaf)
  while told[-1] is None:
    told = told[:-1]
  return told


def _told_piece(piece: Piece) -> dict[str, Any]:
  leaves = {name: _told_leaf(leaf) for name, leaf in piece.leaves.items()}
  made_of = {"made_of": piece.made_of} if piece.made_of else {}
  return {"leaves": leaves, "programs": piece.programs, **made_of}


def from_json(written: str) -> Manifest:
  """The inverse of `to_json`; raises what is wrong, without its subject."""
  try:
    fields = json.loads(written, parse_constant=_refuse)
    version = fields.pop("format")
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
    raise Damaged("is damaged: it is no manifest") from None
  _check_version(version)
  digest = fields.pop("sha256", None)
  head, _, tail = written.rpartition(str(digest) or _UNSIGNED)
  if _signed(head + _UNSIGNED + tail) != written:
    raise Damaged("is damaged: it does not have the digest that it names")
  try:
    manifest_fields.check(fields)
    manifest = _parse(fields)
    valid.check(manifest)
  except ValueError as error:
    raise Damaged(f"is damaged: {error}; export the bundle again") from None
  return manifest


def _check_version(version: Any):
  """Before anything else: other versions may mean something else by it."""
  if type(version) is int and 1 <= version <= FORMAT:
    return
  shown = repr(version)[:20]
  if isinstance(version, int | float) and version > FORMAT:
    raise ValueError(
      f"has format version {shown}, and this pwl_jax reads versions up to "
      f"{FORMAT}; install a newer pwl_jax, or export the bundle with this one"
    )
  raise ValueError(
    f"has format version {shown}, which this pwl_jax does not read: it reads "
    f"versions up to {FORMAT}; export the bundle with this one, or install the "
    "pwl_jax that wrote it"
  )


def _refuse(constant: str):
  raise ValueError(f"{constant} is no JSON")


def _told(input: Input) -> dict[str, Any]:
  """Images do not say what they are: at first there was nothing else."""
  kind = {} if isinstance(input, ImageInput) else {"kind": input.kind}
  return kind | input._asdict()


def _parse(fields: dict[str, Any]) -> Manifest:
  """JSON has neither tuples nor named ones."""
  given = {name: _tuple(value) for name, value in fields["input"].items()}
  kind = INPUTS[given.pop("kind", ImageInput.kind)]
  return Manifest(
    **{
      **fields,
      "input": kind(**given),
      "class_names": tuple(fields["class_names"]),
      "ladder": tuple(fields["ladder"]),
      "platforms": tuple(fields["platforms"]),
      "pieces": {
        name: Piece(
          dict(_leaves(piece["leaves"])),
          piece["programs"],
          tuple(piece.get("made_of", ())),
        )
        for name, piece in fields["pieces"].items()
      },
      "compositions": {
        word: Composition(**found)
        for word, found in fields["compositions"].items()
      },
    }
  )


def _leaves(found: Mapping[str, list]) -> Iterator[tuple[str, Leaf]]:
  for name, (dtype, shape, *rest) in found.items():
    yield name, Leaf(dtype, tuple(shape), *rest)


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
