"""Regular files, of a bounded size: nothing else in a directory is read.

A pipe would wait for ever, and a device never end. Links are followed.
"""

import hashlib
import os
import pathlib
import stat
from typing import BinaryIO

from pwl_jax.bundle.parts import Damaged


def opened(path: pathlib.Path) -> BinaryIO:
  """For reading, without a buffer; FileNotFoundError where nothing is."""
  # Opening a pipe waits for its other end, unless told not to.
  handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  if stat.S_ISREG(os.fstat(handle).st_mode):
    return os.fdopen(handle, "rb", buffering=0)
  os.close(handle)
  raise Damaged(f"{path} is no regular file")


def read(path: pathlib.Path, *, at_most: int) -> bytes:
  """All of a file."""
  with opened(path) as file:
    size = os.fstat(file.fileno()).st_size
    if size > at_most:
      raise Damaged(f"{path} has {size:,} bytes; at most {at_most:,} are read")
    return file.read(at_most)


def digest(path: pathlib.Path) -> str:
  """The sha256 of all of a file."""
  with opened(path) as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: pathlib.Path, expected: str):
  """Raises unless the whole file is what was written."""
  try:
    found = digest(path)
  except (FileNotFoundError, NotADirectoryError):
    raise Damaged(f"{path} is missing") from None
  if found != expected:
    raise Damaged(f"{path} is not what was written")
