"""Caches as if a bundle had never been opened: what --cold asks for."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

XLA_CACHE = "jax_enable_compilation_cache"


@contextlib.contextmanager
def empty(bundle: pathlib.Path) -> Iterator[pathlib.Path]:
  """A directory for compiled programs; what XLA may keep is not used."""
  import jax

  forget(bundle)
  before = jax.config.jax_enable_compilation_cache
  jax.config.update(XLA_CACHE, False)
  try:
    with tempfile.TemporaryDirectory() as folder:
      yield pathlib.Path(folder)
  finally:
    jax.config.update(XLA_CACHE, before)


def forget(bundle: pathlib.Path):
  """Asks the system to drop what it keeps of the files; it need not."""
  if not hasattr(os, "posix_fadvise"):
    return
  for path in bundle.rglob("*"):
    if path.is_file():
      with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
