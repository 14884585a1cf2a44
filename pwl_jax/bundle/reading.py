"""Pieces and programs out of a bundle, verified.

  bundle = open_bundle("runs/digits/bundle")
  piece = bundle.manifest.unit("S", 0)
  leaves = bundle.leaves(piece)             # name -> array
  program = bundle.program(piece)           # a jax.export.Exported
  feature = program.call(leaves, examples)  # as its input says, any batch size

What comes out is what was written, every bit of it, or `Damaged` is raised.
Opening reads the manifest and nothing else; jax is imported by the first
program, tensorstore by the first piece of an Orbax store.
"""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pwl_jax.bundle import files, memory, packing, stores
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import Damaged, Leaf, Manifest
from pwl_jax.compress import refine
from pwl_jax.method.checks import check_choice

SMALL = 1 << 16  # Bytes.
MOST_PROGRAM = 1 << 28  # Bytes; they hold no weights.
Arrays = Mapping[str, np.ndarray]  # By leaf.
NOTHING: Mapping[str, Arrays] = MappingProxyType({})

if TYPE_CHECKING:
  from jax.export import Exported

__all__ = ["Bundle", "Damaged", "open_bundle"]


def open_bundle(directory: pathlib.Path | str) -> "Bundle":
  """Reads what the bundle holds, and none of it."""
  directory = pathlib.Path(directory).absolute()
  return Bundle(directory, manifests.read(directory))


@dataclasses.dataclass(frozen=True)
class Bundle:
  """A directory and its manifest, which everything else is held against."""

  directory: pathlib.Path
  manifest: Manifest

  def leaves(
    self,
    piece: str,
    pace: memory.Pace | None = None,
    held: Mapping[str, Arrays] = NOTHING,
  ) -> dict[str, np.ndarray]:
    """All arrays of a piece, read-only, or none.

    `pace(nbytes)` is called as bytes are read, about once a MiB, and with 0 as
    they are put together, so that the caller can wait, or give up by raising.
    `held` are pieces that were read before: what a piece is made of is not
    read again.
    """
    found = {}
    for name, array in self.each_leaf(piece, pace, held):
      if isinstance(array, Damaged):
        raise array
      found[name] = array
    return found

  def each_leaf(
    self,
    piece: str,
    pace: memory.Pace | None = None,
    held: Mapping[str, Arrays] = NOTHING,
  ) -> Iterator[tuple[str, np.ndarray | Damaged]]:
    """Every leaf of a piece by name, or what is wrong with it."""
    found, pace = self._piece(piece), pace or _no_pace
    if not found.made_of:
      yield from self._each_stored(piece, pace)
      return
    try:
      coarse, rest = (
        held[part] if part in held else self.leaves(part, pace)
        for part in found.made_of
      )
      arrays = memory.empty(found.leaves)
      refine.join_into(arrays, coarse, rest, lambda: pace(0))
    except ValueError as error:  # `Damaged` among them.
      for name in found.leaves:
        yield name, Damaged(f"{piece} cannot be put together: {error}")
      return
    for name, leaf in found.leaves.items():
      array: np.ndarray | Damaged = arrays[name]
      try:
        _verify(arrays[name], leaf)
      except Damaged as error:
        array = self._damaged(f"{name} of {piece}: {error}")
      yield name, array

  def _each_stored(
    self, piece: str, pace: memory.Pace
  ) -> Iterator[tuple[str, np.ndarray | Damaged]]:
    """Of a piece in a place of its own."""
    leaves = self._piece(piece).leaves
    if not leaves:
      return
    store = self.manifest.store
    relative = manifests.weights_place(piece, store)
    place = self.directory / relative

    def damage(name: str, error: Exception) -> Damaged:
      return self._damaged(f"{name} of {piece} in {place}: {error}")

    try:
      self._check_small_files(relative)
      unpacked = packing.empty(leaves)
      wanted = packing.stored_of(leaves)
      with (
        stores.opened(store, place, wanted)
        if wanted
        else contextlib.nullcontext()
      ) as read:
        for name, leaf in leaves.items():
          try:
            array = packing.read_leaf(read, name, leaf, pace, unpacked)
            _verify(array, leaf)
          except Damaged as error:
            array = damage(name, error)
          yield name, array
    except Damaged as error:  # None of them can be read.
      for name in leaves:
        yield name, damage(name, error)

  def program(self, piece: str, role: str = manifests.RUN) -> "Exported":
    """What runs a unit ("run"), or converts ("encode", "decode")."""
    return self.exported(self.program_bytes(piece, role), piece, role)

  def exported(self, written: bytes, piece: str, role: str) -> "Exported":
    """The program whose bytes these are."""
    import jax
    from jax import export

    try:
      return export.deserialize(bytearray(written))
    except ImportError:  # It names what to install.
      raise
    except Exception as error:
      raise ValueError(
        f"the {role} program of {piece} was written with jax "
        f"{self.manifest.versions['jax']}, and jax {jax.__version__} cannot "
        f"read it ({type(error).__name__}: {error}); use a jax at least as "
        "new, or export the bundle again"
      ) from error

  def program_bytes(self, piece: str, role: str = manifests.RUN) -> bytes:
    """The file of a program, verified."""
    programs = self._piece(piece).programs
    check_choice(f"program of {piece}", role, programs)
    path = self.directory / manifests.program_file(piece, role)
    what = f"the {role} program of {piece} in {path}"
    try:
      written = files.read(path, at_most=MOST_PROGRAM)
    except (FileNotFoundError, NotADirectoryError):
      raise self._damaged(f"{what}: the file is missing") from None
    except Damaged as error:
      raise self._damaged(f"{what}: {error}") from None
    if hashlib.sha256(written).hexdigest() != programs[role]:
      raise self._damaged(f"{what}: it is not what was written")
    return written

  def _check_small_files(self, place: str):
    """Those of an Orbax item that say where its arrays lie, and in what form.

    The others hold the arrays, and are held to their digests.
    """
    for name, digest in self.manifest.files.items():
      if name.startswith(f"{place}/"):
        path = self.directory / name
        if not _is_large(path):
          files.check(path, digest)

  def _piece(self, name: str) -> manifests.Piece:
    check_choice("piece", name, self.manifest.pieces)
    return self.manifest.pieces[name]

  def _damaged(self, message: str) -> Damaged:
    """Says whether there is another bundle now, whose files those are."""
    try:
      replaced = manifests.read(self.directory) != self.manifest
    except (OSError, ValueError):
      replaced = True
    if replaced:
      message += (
        "; the bundle was replaced since it was opened, or is damaged as a "
        "whole: open it again"
      )
    return Damaged(message)


def _is_large(path: pathlib.Path) -> bool:
  """A regular file, that is; nothing else is to be opened by others."""
  return path.is_file() and path.stat().st_size > SMALL


def _no_pace(nbytes: int) -> Any:
  del nbytes


def _verify(array: np.ndarray, leaf: Leaf):
  """And read-only from then on."""
  if memory.digest(array) != leaf.sha256:
    raise Damaged("its bytes are not those that were written")
  array.flags.writeable = False
