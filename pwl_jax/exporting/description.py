"""The manifest of a bundle, of what was made for it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import pwl_jax
from pwl_jax.bundle import memory, packing
from pwl_jax.bundle.inputs import ImageInput, Input
from pwl_jax.bundle.parts import Composition, Leaf, Manifest, Piece, made_of
from pwl_jax.exporting.pieces import Pieces
from pwl_jax.method.composition import in_full

Binaries = Mapping[tuple[str, str], bytes]  # (piece, role) -> a program.


def describe(
  *,
  num_units: int,
  pieces: Pieces,
  binaries: Binaries,
  input: Input,
  class_names: Sequence[str],
  compositions: Mapping[str, Composition],
  calibrated: Sequence[str],
  ladder: Sequence[str],
  config: Mapping[str, Any],
  store: str,
  platforms: Sequence[str],
) -> Manifest:
  """All but its files, which are there once they are written."""
  manifest = Manifest(
    num_units=num_units,
    input=_plain(input),
    class_names=tuple(class_names),
    store=store,
    pieces=_described(pieces, binaries),
    compositions={
      word: Composition(
        0, _share(found.valid), _share(found.test), in_full(word) in calibrated
      )
      for word, found in compositions.items()
    },
    ladder=tuple(ladder),
    config=config,
    versions={"pwl_jax": pwl_jax.__version__, "jax": jax.__version__},
    platforms=tuple(platforms),
    files={},
  )
  sized = {
    word: found._replace(nbytes=manifest.bytes_of(word))
    for word, found in manifest.compositions.items()
  }
  return manifest._replace(compositions=sized)


def as_json(value: Any, where: str = "config") -> Any:
  """What JSON has for it: numbers of NumPy are numbers, tuples are lists."""
  if isinstance(value, np.generic | np.ndarray | jax.Array) and not value.ndim:
    value = value.item()
  if isinstance(value, Mapping):
    for name in value:
      if not isinstance(name, str):
        raise ValueError(f"{where} has {name!r}; its names have to be text")
    return {n: as_json(part, f"{where}.{n}") for n, part in value.items()}
  if isinstance(value, list | tuple):
    return [as_json(part, f"{where}[{i}]") for i, part in enumerate(value)]
  if isinstance(value, float) and not np.isfinite(value):
    raise ValueError(f"{where} is {value}, and JSON has finite numbers only")
  if value is None or isinstance(value, str | bool | int | float):
    return value
  raise ValueError(
    f"{where} is {value!r}; a config holds text, numbers, truth values and "
    "lists of such"
  )


def _plain(input: Input) -> Input:
  """Of Python's own numbers, which JSON has."""
  if not isinstance(input, ImageInput):
    return input
  return ImageInput(
    tuple(map(int, input.image)),
    tuple(map(float, input.mean)),
    tuple(map(float, input.deviation)),
    input.resize,
  )


def _share(accuracy: Any) -> float | None:
  return None if accuracy is None else float(accuracy)


def _described(pieces: Pieces, binaries: Binaries) -> dict[str, Piece]:
  return {
    name: Piece(
      {
        leaf: Leaf(
          str(array.dtype),
          array.shape,
          memory.digest(array),
          *(() if made_of(name, pieces) else packing.how(array)),
        )
        for leaf, array in leaves.items()
      },
      {
        role: hashlib.sha256(binary).hexdigest()
        for (piece, role), binary in binaries.items()
        if piece == name
      },
      made_of(name, pieces),
    )
    for name, leaves in pieces.items()
  }
