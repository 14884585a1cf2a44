"""Arrays out of a safetensors file."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pwl_jax.bundle import files
from pwl_jax.bundle.memory import (
  STEP,
  Pace,
  ReadLeaf,
  as_bytes,
  check_form,
  empty,
)
from pwl_jax.bundle.parts import Damaged, Leaf

MOST_HEADER = 100_000_000  # Bytes, in the safetensors library too.
_NAMES = {
  **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
  **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
  **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
  "BF16": "bfloat16",
  "BOOL": "bool",
  "F8_E4M3": "float8_e4m3fn",
  "F8_E5M2": "float8_e5m2",
}


@contextlib.contextmanager
def opened(
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
      check_form(dtype, shape, leaf)
      if not (type(begin) is type(end) is int and 0 <= begin <= end <= size):
        raise Damaged("the file is cut short, or its header is damaged")
      if end - begin != leaf.nbytes:
        raise Damaged(f"it takes {end - begin} bytes, not {leaf.nbytes}")
      file.seek(start + begin)
      _fill(file, memoryview(as_bytes(found[name])), pace)
      return found.pop(name)

    yield read


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
