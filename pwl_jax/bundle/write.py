"""A bundle from a trained swap network.

Everything is made and checked first: programs against the network, then what
lies on the disk against what it should be. Only then it takes its place, in
one rename.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pwl_jax.bundle import files, ours, packing, placing, storing
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import Composition, Input, Manifest
from pwl_jax.bundle.parts import PROGRAMS
from pwl_jax.bundle.verify import verify
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.exporting import checks, programs
from pwl_jax.exporting.description import Binaries, as_json, describe
from pwl_jax.exporting.pieces import Pieces, served_variables
from pwl_jax.exporting.precision import Precisions, as_trained
from pwl_jax.exporting.stored import Stored
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet


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
  precisions: Precisions | None = None,
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
    ladder: compositions from the student to the teacher, one unit changed
      per rung.
    config: what it was made with, to be shown, in what JSON has.
    precisions: of the units; by default they are stored as they are.
    store: "orbax" or "safetensors".
    platforms: that the programs are to run on, this machine's among them.
    watch: passes on what is to be done, and sees how far it is.
  """
  directory = pathlib.Path(directory).resolve()
  precisions = precisions or as_trained(swapnet.num_units)
  check_choice("store", store, manifests.STORES)
  ours.check(directory)
  checks.check(
    swapnet,
    input=input,
    class_names=class_names,
    compositions=compositions,
    ladder=ladder,
    coarse=precisions.coarse,
    improvements=improvements,
    platforms=platforms,
  )
  config = as_json(config)
  variables = served_variables(swapnet, variables, improvements)
  pieces, binaries = _made(
    swapnet,
    variables,
    improvements,
    input,
    precisions,
    store,
    platforms,
    watch,
  )
  manifest = describe(
    num_units=swapnet.num_units,
    pieces=pieces,
    binaries=binaries,
    input=input,
    class_names=class_names,
    compositions=compositions,
    calibrated=improvements.calibrated,
    ladder=ladder,
    config=config,
    store=store,
    platforms=platforms,
  )
  check = functools.partial(ours.check, place=directory)
  with placing.replacing(directory, check) as temporary:
    _write(temporary, manifest, pieces, binaries)
  return manifests.read(directory)


def _made(
  swapnet: SwapNet,
  variables: Mapping[str, Any],
  improvements: Improvements,
  input: Input,
  precisions: Precisions,
  store: str,
  platforms: Sequence[str],
  watch: Callable[[Sequence[Any]], Iterable[Any]],
) -> tuple[Pieces, Binaries]:
  """All arrays and programs; those give what the swap network gives."""
  found = Stored.of(swapnet, variables, precisions)
  pieces = found.pieces
  everything = pieces | found.calibration(improvements)
  storing.check(store, everything)
  tasks = programs.tasks(found.swapnet, pieces, input=input, exact=found.exact)
  exported = {
    (task.piece, task.role): programs.export_program(
      task, pieces[task.piece], platforms
    )
    for task in watch(tasks)
  }
  programs.check_programs(
    swapnet, found.as_served(), pieces, exported, input=input
  )
  binaries = {key: bytes(made.serialize()) for key, made in exported.items()}
  return everything, binaries


def _write(
  directory: pathlib.Path,
  manifest: Manifest,
  pieces: Pieces,
  binaries: Binaries,
):
  arrays = {
    name: packing.as_stored(leaves)
    for name, leaves in pieces.items()
    if not manifest.pieces[name].made_of
  }
  storing.store(directory, manifest.store, arrays)
  digests = {
    name: files.digest(directory / name)
    for name in sorted(ours.present(directory))
  }
  (directory / PROGRAMS).mkdir()
  for (piece, role), binary in binaries.items():
    (directory / manifests.program_file(piece, role)).write_bytes(binary)
  text = manifests.to_json(manifest._replace(files=digests))
  (directory / manifests.NAME).write_text(text)
  wrong = verify(directory)
  if wrong:
    raise OSError(f"what was written cannot be read again: {wrong[0]}")
