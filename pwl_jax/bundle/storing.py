"""How arrays get onto the disk, into either kind of store."""

import contextlib
import pathlib
import threading
import time
from collections.abc import Iterator, Mapping

import numpy as np

from pwl_jax.bundle.names import nested
from pwl_jax.bundle.parts import ITEMSIZES, weights_place

Pieces = Mapping[str, Mapping[str, np.ndarray]]  # Piece -> leaf -> array.

# Small enough that a reader can wait or give up in between.
CHUNK = 1 << 20
PATIENCE = 10  # Seconds, for threads that write after a failure.


def check(kind: str, pieces: Pieces):
  """Raises where there is an array that a store cannot keep."""
  for piece, leaves in pieces.items():
    for name, array in leaves.items():
      what = f"{name} of {piece} is {array.dtype}{list(array.shape)}"
      if str(array.dtype) not in ITEMSIZES:
        raise ValueError(
          f"{what}; a bundle keeps {', '.join(sorted(ITEMSIZES))}"
        )
      if kind == "orbax" and not array.size:
        raise ValueError(
          f"{what}, and Orbax keeps no empty arrays; write it as safetensors"
        )


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
  args = {name: save(leaves) for name, leaves in items.items()}
  try:
    with (
      _no_threads_left(),
      ocp.Checkpointer(
        composite, multiprocessing_options=alone
      ) as checkpointer,
    ):
      checkpointer.save(folder.absolute(), args=ocp.args.Composite(**args))
  except ValueError as error:  # Of tensorstore, such as on a full disk.
    reason = str(error).split(" [", 1)[0]  # Without the options of its own.
    raise OSError(f"{folder} cannot be written: {reason}") from error


@contextlib.contextmanager
def _no_threads_left() -> Iterator[None]:
  """Those of a failed save go on writing, while others clear away."""
  before = set(threading.enumerate())
  try:
    yield
  except BaseException:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and set(threading.enumerate()) - before:
      for thread in set(threading.enumerate()) - before:
        with contextlib.suppress(RuntimeError):  # It is about to start.
          # Not Orbax's own join, which raises what the thread met.
          threading.Thread.join(thread, 0.1)
    raise


def _safetensors(folder: pathlib.Path, items: Pieces):
  from safetensors import SafetensorError
  from safetensors.numpy import save_file

  folder.mkdir()
  # The library lets nobody else read; these are as open as their folder.
  mode = folder.stat().st_mode & 0o666
  for name, leaves in items.items():
    path = folder / name
    try:
      save_file(dict(leaves), path)
    except SafetensorError as error:
      raise OSError(f"{path} cannot be written: {error}") from error
    path.chmod(mode)
