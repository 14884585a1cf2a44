"""How fast a large unit is read, beside plain reading of the same bytes.

  python -m benchmarks.reads --megabytes=64

A unit of so many bytes is read and verified out of either store; its file is
read by `read()` into new memory, and hashed. The files lie in the system's
cache, so what is measured is the processor's work.
"""

import argparse
import hashlib
import pathlib
import tempfile

import numpy as np

from benchmarks.timing import in_turns, summary, tell
from pwl_jax.bundle import stores, storing
from pwl_jax.bundle.manifest import STORES, Leaf, weights_place

PIECE, LEAVES = "teacher/unit0", 8


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.reads", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--megabytes", type=int, default=64)
  parser.add_argument("--rounds", type=int, default=9)
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  given = parser.parse_args(argv)
  rng = np.random.default_rng(0)
  size = given.megabytes * 2**20 // (4 * LEAVES * 256)
  arrays = {
    f"params/layer{i}/kernel": rng.normal(size=(256, size)).astype(np.float32)
    for i in range(LEAVES)
  }
  leaves = {
    name: Leaf(str(array.dtype), array.shape, stores.digest(array))
    for name, array in arrays.items()
  }
  with tempfile.TemporaryDirectory() as temporary:
    cases = {"read() and sha256": _plainly(temporary, arrays)}
    for store in STORES:
      folder = pathlib.Path(temporary) / store
      folder.mkdir()
      storing.store(folder, store, {PIECE: arrays})
      cases[store] = _reader(
        store, folder / weights_place(PIECE, store), leaves
      )
    found = {
      name: summary(seconds)
      for name, seconds in in_turns(cases, rounds=given.rounds).items()
    }
  tell(
    found,
    "read() and sha256",
    title=f"{given.megabytes} MiB in {LEAVES} arrays",
    path=given.json,
  )


def _plainly(folder: str, arrays):
  path = pathlib.Path(folder) / "plain"
  path.write_bytes(b"".join(array.tobytes() for array in arrays.values()))

  def run():
    hashlib.sha256(path.read_bytes()).hexdigest()

  return run


def _reader(store: str, place: pathlib.Path, leaves):
  def run():
    with stores.opened(store, place, leaves) as read:
      for name, leaf in leaves.items():
        array = read(name, leaf, lambda nbytes: None)
        assert stores.digest(array) == leaf.sha256

  return run


if __name__ == "__main__":
  main()
