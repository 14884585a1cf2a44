"""How arrays get onto the disk, into either kind of store."""

import pathlib
from collections.abc import Mapping

import numpy as np

from pwl_jax.bundle.manifest import weights_place
from pwl_jax.bundle.names import nested

Pieces = Mapping[str, Mapping[str, np.ndarray]]  # Piece -> leaf -> array.

# Small enough that a reader can wait or give up in between.
CHUNK = 1 << 20


def store(directory: pathlib.Path, kind: str, pieces: Pieces):
  """Writes all pieces under a bundle's directory; those without leaves not."""
  folders: dict[pathlib.Path, dict[str, Mapping[str, np.ndarray]]] = {}
  for piece, leaves in pieces.items():
    if leaves:
      place = directory / weights_place(piece, kind)
      folders.setdefault(place.parent, {})[place.name] = leaves
  for folder, items in folders.items():
    {"orbax": _orbax, "safetensors": _safetensors}[kind](folder, items)


def _orbax(folder: pathlib.Path, items: Pieces):
  """One item per piece of one Composite.

  Uncompressed, since trained weights hardly shrink, and unpacking them takes
  longer than reading them. The others of several processes need not join.
  """
  import jax
  import orbax.checkpoint as ocp

  alone = ocp.options.MultiprocessingOptions(
    primary_host=0, active_processes={0}, barrier_sync_key_prefix="bundle"
  )

  def handler():
    return ocp.PyTreeCheckpointHandler(
      use_ocdbt=True,
      use_zarr3=False,
      use_compression=False,
      multiprocessing_options=alone,
    )

  def save(leaves):
    tree = nested(leaves)
    chunks = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=CHUNK), tree)
    return ocp.args.PyTreeSave(tree, save_args=chunks)

  composite = ocp.CompositeCheckpointHandler(
    **{name: handler() for name in items},
    composite_options=ocp.CompositeOptions(multiprocessing_options=alone),
  )
  with ocp.Checkpointer(
    composite, multiprocessing_options=alone
  ) as checkpointer:
    args = {name: save(leaves) for name, leaves in items.items()}
    checkpointer.save(folder.absolute(), args=ocp.args.Composite(**args))


def _safetensors(folder: pathlib.Path, items: Pieces):
  from safetensors.numpy import save_file

  folder.mkdir()
  for name, leaves in items.items():
    save_file(dict(leaves), folder / name)
