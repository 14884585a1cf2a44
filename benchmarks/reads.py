"""How fast a large unit is read, beside plain reading of the same bytes.

  python -m benchmarks.reads --megabytes=64

A unit of so many bytes is read and verified out of either store; its file is
read by `read()` into new memory, and hashed. The files lie in the system's
cache, so what is measured is the processor's work.
"""

import hashlib
import pathlib
import tempfile

import numpy as np

from benchmarks.records import Record, parser_of, tell
from benchmarks.timing import explained, in_turns, summaries
from pwl_jax.bundle import memory, stores, storing
from pwl_jax.bundle.manifest import STORES, Leaf, weights_place

PIECE, LEAVES = "teacher/unit0", 8
BASE = "read() and sha256"


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.reads", __doc__)
  parser.add_argument("--megabytes", type=int, default=64)
  parser.add_argument("--rounds", type=int, default=9)
  given = parser.parse_args(argv)
  rng = np.random.default_rng(0)
  size = given.megabytes * 2**20 // (4 * LEAVES * 256)
  arrays = {
    f"params/layer{i}/kernel": rng.normal(size=(256, size)).astype(np.float32)
    for i in range(LEAVES)
  }
  leaves = {
    name: Leaf(str(array.dtype), array.shape, memory.digest(array))
    for name, array in arrays.items()
  }
  with tempfile.TemporaryDirectory() as temporary:
    cases = {BASE: _plainly(temporary, arrays)}
    for store in STORES:
      folder = pathlib.Path(temporary) / store
      folder.mkdir()
      storing.store(folder, store, {PIECE: arrays})
      cases[store] = _reader(
        store, folder / weights_place(PIECE, store), leaves
      )
    found = in_turns(cases, rounds=given.rounds)
  title = f"{given.megabytes} MiB in {LEAVES} arrays"
  notes = [explained(BASE, given.rounds)]
  return tell([Record(title, summaries(found, BASE), notes)], given.json)


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
        assert memory.digest(array) == leaf.sha256

  return run


if __name__ == "__main__":
  main()
