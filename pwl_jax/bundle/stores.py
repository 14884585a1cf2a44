"""How arrays come off the disk, from either kind of store.

Each store is opened for one piece and gives a function that reads one leaf
into memory of its own. Nothing is mapped: what was verified cannot change any
more, and a file that is cut short later hurts nobody. Arrays begin at
multiples of 64 bytes, so jax's CPU backend can take them without a copy.

Orbax itself takes longer to import than a whole cold start may take, so its
files are read by tensorstore, which it writes them with. Whoever reads must
verify: neither store notices a flipped bit.
"""

import collections
import contextlib
import functools
import hashlib
import itertools
import json
import mmap
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pwl_jax.bundle import files
from pwl_jax.bundle.parts import Damaged, Leaf

Pace = Callable[[int], object]  # Told of bytes that were read; may raise.
ReadLeaf = Callable[[str, Leaf, Pace], np.ndarray]

STEP = 1 << 20  # Bytes between two calls of pace.
AHEAD = 8  # Blocks of at most a step that are under way.
ALIGNMENT = 64
LARGE = 8 << 20  # Bytes.
MOST_HEADER = 100_000_000  # Bytes, in the safetensors library too.
# One thread reads while another copies; the rest is left to the requests.
_LIMITS = {
  "file_io_concurrency": {"limit": 1},
  "data_copy_concurrency": {"limit": 1},
}
# Memory that is shared does not come in large pages; Windows has no choice.
_PRIVATE = (
  {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
  if hasattr(mmap, "MAP_PRIVATE")
  else {}
)
# What the system lacks, which no file is to blame for.
_LACKS = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "CANCELLED")


def opened(
  store: str, place: pathlib.Path, leaves: Mapping[str, Leaf]
) -> contextlib.AbstractContextManager[ReadLeaf]:
  """Of the piece at a place, which has these leaves."""
  kinds = {"orbax": _orbax, "safetensors": _safetensors}
  return kinds[store](place, leaves)


def numpy_dtype(name: str) -> np.dtype:
  try:
    return np.dtype(name)
  except TypeError:  # NumPy learns bfloat16 and its like with jax.
    import jax.numpy as jnp

    return jnp.dtype(name)


def as_bytes(array: np.ndarray) -> np.ndarray:
  """The same memory, as uint8[n]."""
  return array.reshape(-1).view(np.uint8)


def digest(array: np.ndarray) -> str:
  """Of its bytes, row by row, as a `Leaf` has it."""
  return hashlib.sha256(as_bytes(array)).hexdigest()


def empty(leaves: Mapping[str, Leaf]) -> dict[str, np.ndarray]:
  """One block of memory for the leaves of a piece, each aligned."""
  sizes = [-(-leaf.nbytes // ALIGNMENT) * ALIGNMENT for leaf in leaves.values()]
  raw, found = _block(sum(sizes) + ALIGNMENT), {}
  start = -raw.ctypes.data % ALIGNMENT
  for (name, leaf), size in zip(leaves.items(), sizes, strict=True):
    own = raw[start : start + leaf.nbytes]
    found[name] = own.view(numpy_dtype(leaf.dtype)).reshape(leaf.shape)
    start += size
  return found


def _block(nbytes: int) -> np.ndarray:
  """uint8[nbytes]; a large one from the system, and back to it.

  It comes in large pages, which takes much less time, and leaves no gaps in
  the process. Small ones the process has at hand.
  """
  if nbytes < LARGE:
    return np.empty(nbytes, np.uint8)
  try:
    memory = mmap.mmap(-1, nbytes, **_PRIVATE)
  except OSError as error:
    raise MemoryError(f"{nbytes:,} bytes: {error.strerror}") from error
  if hasattr(mmap, "MADV_HUGEPAGE"):
    with contextlib.suppress(OSError):  # Not every kernel has them.
      memory.madvise(mmap.MADV_HUGEPAGE)
  return np.frombuffer(memory, np.uint8)


@contextlib.contextmanager
def _orbax(
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
    _check_form(array.dtype.name, array.shape, leaves[name])
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


@contextlib.contextmanager
def _safetensors(
  place: pathlib.Path, leaves: Mapping[str, Leaf]
) -> Iterator[ReadLeaf]:
  """The format: length of a header, the header, the bytes of all arrays."""
  with contextlib.ExitStack() as stack:
    try:
      file = stack.enter_context(files.opened(place))
    except (FileNotFoundError, NotADirectoryError):
      raise Damaged("the file is missing") from None
    header, start = _header(file)
    found = empty(leaves)
    size = os.fstat(file.fileno()).st_size - start

    def read(name: str, leaf: Leaf, pace: Pace) -> np.ndarray:
      try:
        dtype, shape = _NAMES[header[name]["dtype"]], header[name]["shape"]
        begin, end = header[name]["data_offsets"]
        shape = list(shape)
      except (KeyError, TypeError, ValueError):
        raise Damaged("it is not in the file") from None
      _check_form(dtype, shape, leaf)
      if not (type(begin) is type(end) is int and 0 <= begin <= end <= size):
        raise Damaged("the file is cut short, or its header is damaged")
      if end - begin != leaf.nbytes:
        raise Damaged(f"it takes {end - begin} bytes, not {leaf.nbytes}")
      file.seek(start + begin)
      _fill(file, memoryview(as_bytes(found[name])), pace)
      return found.pop(name)

    yield read


_NAMES = {
  **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
  **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
  **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
  "BF16": "bfloat16",
  "BOOL": "bool",
  "F8_E4M3": "float8_e4m3fn",
  "F8_E5M2": "float8_e5m2",
}


def _header(file: Any) -> tuple[Mapping[str, Any], int]:
  """What it says of every array, and where their bytes begin."""
  size = os.fstat(file.fileno()).st_size
  length = int.from_bytes(file.read(8), "little")
  if length > min(size - 8, MOST_HEADER):
    raise Damaged("the file is cut short, or its header is damaged")
  try:
    return json.loads(file.read(length)), 8 + length
  except (ValueError, RecursionError):
    raise Damaged("the header of the file is damaged") from None


def _fill(file: Any, memory: memoryview, pace: Pace):
  while memory:
    count = file.readinto(memory[:STEP])
    if not count:
      raise Damaged("the file is cut short")
    memory = memory[count:]
    pace(count)


def _check_form(dtype: str, shape: Any, leaf: Leaf):
  found = f"{dtype}{list(shape)}"
  if found != f"{leaf.dtype}{list(leaf.shape)}":
    raise Damaged(f"it is {found}, not {leaf.dtype}{list(leaf.shape)}")
