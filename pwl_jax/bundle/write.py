"""A bundle from a trained swap network.

Everything is made and checked first: programs against the network, then what
lies on the disk against what it should be. Only then it takes its place, in
one rename.
"""

import hashlib
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import export

import pwl_jax
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import placing, stores, storing
from pwl_jax.bundle.manifest import Composition, Input, Leaf, Manifest, Piece
from pwl_jax.bundle.names import flat
from pwl_jax.bundle.verify import verify
from pwl_jax.evaluation.calibration import STATS
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.exporting import programs
from pwl_jax.exporting.affine import with_affine_converters
from pwl_jax.method import composition as compositions_of
from pwl_jax.method.checks import check_choice
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet, boundary_name

Pieces = dict[str, dict[str, np.ndarray]]


def write_bundle(
  directory: pathlib.Path,
  *,
  swapnet: SwapNet,
  variables: Mapping[str, Any],
  improvements: Improvements,
  input: Input,
  class_names: Sequence[str],
  compositions: Mapping[str, Composition],
  ladder: Sequence[str],
  config: Mapping[str, Any],
  store: str = "orbax",
  platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
  watch: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Manifest:
  """Writes it whole or not at all, over an older one if there is one.

  Of several processes the first is to call this, and no other.

  Args:
    directory: of the bundle; what is there has to be a bundle, or nothing.
    swapnet: the networks and their converters.
    variables: of teacher, student and converters, as they were trained.
    improvements: what the evaluation found; its converters, where it has
      any, take the place of the trained ones.
    input: what the first units take.
    class_names: one per class, or none at all.
    compositions: what was measured; their bytes, and whether they are
      calibrated, are filled in.
    ladder: compositions from the student to the teacher.
    config: what it was made with, to be shown.
    store: "orbax" or "safetensors".
    platforms: that the programs are to run on, this machine's among them.
    watch: passes on what is to be done, and sees how far it is.
  """
  directory = pathlib.Path(directory)
  check_choice("store", store, manifests.STORES)
  _check_place(directory)
  _check_description(swapnet, input, class_names, [*compositions, *ladder])
  _check_process()
  check_platforms(platforms)
  variables = dict(variables)
  variables["converters"] = improvements.converters or variables["converters"]
  variables = jax.tree.map(_on_host, variables)
  served, converters, exact = with_affine_converters(
    swapnet, variables["converters"]
  )
  pieces = _pieces(served, {**variables, "converters": converters})
  exported = {
    (task.piece, task.role): programs.export_program(
      task, pieces[task.piece], platforms
    )
    for task in watch(programs.tasks(served, pieces, input=input, exact=exact))
  }
  programs.check_programs(swapnet, variables, pieces, exported, input=input)
  pieces |= _calibration(improvements)
  binaries = {key: bytes(made.serialize()) for key, made in exported.items()}
  manifest = Manifest(
    num_units=swapnet.num_units,
    input=Input(
      tuple(input.image),
      tuple(map(float, input.mean)),
      tuple(map(float, input.deviation)),
      input.resize,
    ),
    class_names=tuple(class_names),
    store=store,
    pieces=_described(pieces, binaries),
    compositions={},
    ladder=tuple(ladder),
    config=dict(config),
    versions={"pwl_jax": pwl_jax.__version__, "jax": jax.__version__},
    platforms=tuple(platforms),
    files={},
  )
  manifest = _with_compositions(manifest, compositions, improvements)
  with placing.replacing(directory) as temporary:
    _write(temporary, manifest, pieces, binaries)
  return manifests.read(directory)


def _with_compositions(
  manifest: Manifest,
  compositions: Mapping[str, Composition],
  improvements: Improvements,
) -> Manifest:
  """What was measured, with what the pieces themselves tell."""
  described = {
    word: found._replace(
      nbytes=_bytes_of(manifest, word),
      calibrated=word in improvements.calibrated,
    )
    for word, found in compositions.items()
  }
  return manifest._replace(compositions=described)


def _write(
  directory: pathlib.Path,
  manifest: Manifest,
  pieces: Pieces,
  binaries: Mapping[tuple[str, str], bytes],
):
  storing.store(directory, manifest.store, pieces)
  files = {
    str(path.relative_to(directory)): _file_digest(path)
    for path in sorted(directory.rglob("*"))
    if path.is_file()
  }
  (directory / "programs").mkdir()
  for (piece, role), binary in binaries.items():
    (directory / manifests.program_file(piece, role)).write_bytes(binary)
  text = manifests.to_json(manifest._replace(files=files))
  (directory / manifests.NAME).write_text(text)
  wrong = verify(directory)
  if wrong:
    raise OSError(f"what was written cannot be read again: {wrong[0]}")


def _pieces(swapnet: SwapNet, variables: Mapping[str, Any]) -> Pieces:
  """Student, teacher, converters: in the order in which they are needed."""
  names = [
    (role, unit_name(i))
    for role in ("student", "teacher")
    for i in range(swapnet.num_units)
  ]
  names += [
    (manifests.CONVERTERS, boundary_name(i))
    for i in range(swapnet.num_units - 1)
    if swapnet.has_converter(i)
  ]
  return {
    f"{group}/{name}": _leaves(variables[group][name]) for group, name in names
  }


def _calibration(improvements: Improvements) -> Pieces:
  """The statistics that calibrated compositions run on, by their nodes."""
  return {
    f"{manifests.CALIBRATION}/{node}": _leaves(
      {STATS: jax.tree.map(_on_host, stats)}
    )
    for node, stats in improvements.statistics.items()
    if any(word.startswith(node) for word in improvements.calibrated)
  }


def _leaves(tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
  found = flat(tree)
  return {name: found[name] for name in sorted(found)}


def _described(
  pieces: Pieces, binaries: Mapping[tuple[str, str], bytes]
) -> dict[str, Piece]:
  return {
    name: Piece(
      {
        leaf: Leaf(
          str(array.dtype),
          array.shape,
          hashlib.sha256(stores.as_bytes(array)).hexdigest(),
        )
        for leaf, array in leaves.items()
      },
      {
        role: hashlib.sha256(binary).hexdigest()
        for (piece, role), binary in binaries.items()
        if piece == name
      },
    )
    for name, leaves in pieces.items()
  }


def _bytes_of(manifest: Manifest, word: str) -> int:
  """Statistics of a composition take the place of others, as large."""
  return sum(manifest.pieces[p].nbytes for p in manifest.pieces_of(word))


def _file_digest(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _on_host(leaf: Any) -> np.ndarray:
  """This process's copy of an array, row by row."""
  local = leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf
  return np.asarray(local, order="C")


def _check_place(directory: pathlib.Path):
  if directory.exists() and not (
    directory.is_dir()
    and ((directory / manifests.NAME).exists() or not any(directory.iterdir()))
  ):
    raise ValueError(
      f"{directory} is there and is no bundle; move it away, or write to "
      "another place"
    )


def _check_description(
  swapnet: SwapNet,
  input: Input,
  class_names: Sequence[str],
  words: Sequence[str],
):
  expected = swapnet.teacher.input_shape
  check_choice("resize", input.resize, ("exact", "centre"))
  if tuple(input.image) != expected:
    raise ValueError(
      f"input.image is {tuple(input.image)}, but the networks take {expected}"
    )
  classes = swapnet.teacher.num_classes
  if class_names and len(class_names) != classes:
    raise ValueError(
      f"{len(class_names)} class names for {classes} classes; give one for "
      "each, or none at all"
    )
  for word in words:
    compositions_of.validate(word, swapnet.num_units)


def _check_process():
  if jax.process_index():
    raise ValueError("a bundle is written by the first process of a run alone")


def check_platforms(platforms: Sequence[str]):
  """Raises unless this machine's is among them."""
  here = export.default_export_platform()
  if here not in platforms:
    raise ValueError(
      f"platforms are {tuple(platforms)} without {here}, on which this process "
      "checks the programs; add it"
    )
