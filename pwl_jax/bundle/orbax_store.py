"""Arrays out of an Orbax item.

Orbax itself takes longer to import than a whole cold start may take, so its
files are read by tensorstore, which it writes them with.
"""

import collections
import contextlib
import functools
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pwl_jax.bundle.memory import Pace, ReadLeaf, check_form, empty
from pwl_jax.bundle.parts import Damaged, Leaf

AHEAD = 8  # Blocks of at most a step that are under way.
# One thread reads while another copies; the rest is left to the requests.
_LIMITS = {
  "file_io_concurrency": {"limit": 1},
  "data_copy_concurrency": {"limit": 1},
}
# What the system lacks, which no file is to blame for.
_LACKS = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "CANCELLED")


@contextlib.contextmanager
def opened(
  place: pathlib.Path, leaves: Mapping[str, Leaf]
) -> Iterator[ReadLeaf]:
  """Leaves are to be read in their order: the next ones are under way."""
  import tensorstore as ts

  context = _context()
  base = {"driver": "file", "path": f"{place}{os.sep}"}

  def begin(name):
    key = name.replace("/", ".") + "/"
    kvstore = {"driver": "ocdbt", "base": base, "path": key}
    spec = {"driver": "zarr", "kvstore": kvstore}
    return ts.open(spec, open=True, read=True, context=context)

  # Together: one after the other they take ten times as long.
  opening = {name: begin(name) for name in leaves}

  def array_of(name):
    array = _result(opening[name])
    check_form(array.dtype.name, array.shape, leaves[name])
    return array

  found = empty(leaves)

  def blocks():
    for name, leaf in leaves.items():
      with contextlib.suppress(Damaged):  # `read` meets it again.
        array = array_of(name)
        memory = ts.array(found[name], copy=False, write=True, context=context)
        for part in _parts(array):
          block = memory[part]
          yield name, block.size * leaf.itemsize, block.write(array[part])

  coming = blocks()
  ahead = collections.deque(itertools.islice(coming, AHEAD))

  def taken():
    ahead.extend(itertools.islice(coming, 1))
    return ahead.popleft()

  def read(name: str, leaf: Leaf, pace: Pace) -> np.ndarray:
    array_of(name)
    while ahead and ahead[0][0] != name:  # Of one that failed half-way.
      taken()
    while ahead and ahead[0][0] == name:
      _, nbytes, written = taken()
      _result(written)
      pace(nbytes)
    return found.pop(name)

  yield read


@functools.cache
def _context() -> Any:
  """One for all pieces: its threads take longer to start than small ones."""
  import tensorstore as ts

  return ts.Context(_LIMITS)


def _parts(array: Any) -> Iterator[tuple[slice, ...]]:
  """What lies together on the disk, one by one."""
  steps = array.chunk_layout.read_chunk.shape or ()
  return itertools.product(
    *(
      [slice(i, min(i + step, size)) for i in range(0, size, step)]
      for size, step in zip(array.shape, steps, strict=True)
    )
  )


def _result(future: Any) -> Any:
  """Of something under way; the errors of tensorstore are ValueErrors."""
  try:
    return future.result()
  except ValueError as error:
    reason = str(error).split(" [", 1)[0]
    if any(lack in reason for lack in _LACKS):
      raise OSError(reason) from None
    # From the outermost to the innermost; that one names the file.
    raise Damaged(reason[max(0, reason.rfind("local file")) :]) from None
