"""A directory that is there whole or not at all, also over an older one.

It is made beside its place and put there by one rename, which exchanges it
for the older one. Where the system cannot exchange, the older one is renamed
out of the way first; a writer killed in that moment leaves it there, and the
next one puts it back. Leftovers of killed writers go with the next write.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

_NEW, _OLD = "new", "old"
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE, AT_FDCWD of Linux.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def replacing(directory: pathlib.Path) -> Iterator[pathlib.Path]:
  """Gives an empty directory, and puts what it then holds in its place."""
  directory = pathlib.Path(directory).resolve()
  directory.parent.mkdir(parents=True, exist_ok=True)
  _clear(directory)
  with _locked_beside(directory) as temporary:
    try:
      yield temporary
      _sync(temporary)
      _put(temporary, directory)
      _sync_one(directory.parent)
    finally:
      # What was made and failed; or what was there before.
      shutil.rmtree(temporary, ignore_errors=True)


def set_aside(directory: pathlib.Path) -> pathlib.Path | None:
  """Where a killed writer left what had been at a place that is empty now."""
  directory = pathlib.Path(directory).resolve()
  found = sorted(
    _beside(directory, _OLD), key=lambda path: path.stat().st_ctime
  )
  return found[-1] if found and not directory.exists() else None


def _put(new: pathlib.Path, directory: pathlib.Path):
  """Afterwards the old one, if there was any, is gone or where `new` was."""
  if not directory.exists():
    new.rename(directory)
  elif not _exchange(new, directory):
    old = _name(directory, _OLD)
    directory.rename(old)
    new.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(a: pathlib.Path, b: pathlib.Path) -> bool:
  """Swaps the names of two directories at once; False where that cannot be."""
  rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
  if rename is None:
    return False
  if rename(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0:
    return True
  error = ctypes.get_errno()
  if error in _CANNOT:
    return False
  raise OSError(error, os.strerror(error), str(b))


def _clear(directory: pathlib.Path):
  """Of what killed writers left; those that live hold a lock."""
  aside = set_aside(directory)
  if aside:
    aside.rename(directory)
  for path in [*_beside(directory, _NEW), *_beside(directory, _OLD)]:
    with contextlib.suppress(OSError), _lock(path):
      shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked_beside(directory: pathlib.Path) -> Iterator[pathlib.Path]:
  """A new directory; one who clears may just take it for a dead writer's."""
  while True:
    path = _name(directory, _NEW)
    path.mkdir()
    with contextlib.ExitStack() as stack:
      try:
        stack.enter_context(_lock(path))
        mine = path.exists()
      except OSError:
        mine = False
      if mine:
        yield path
        return


@contextlib.contextmanager
def _lock(path: pathlib.Path) -> Iterator[None]:
  """Of this process, while it lives; raises where another one has it."""
  handle = os.open(path, os.O_RDONLY)
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield
  finally:
    os.close(handle)


def _name(directory: pathlib.Path, kind: str) -> pathlib.Path:
  return directory.with_name(f".{directory.name}.{kind}-{secrets.token_hex(4)}")


def _beside(directory: pathlib.Path, kind: str) -> list[pathlib.Path]:
  # Not by glob, to which some letters of a name mean something else.
  beginning = f".{directory.name}.{kind}-"
  try:
    names = os.listdir(directory.parent)
  except OSError:
    return []
  return [directory.parent / n for n in names if n.startswith(beginning)]


def _sync(directory: pathlib.Path):
  """Everything in it reaches the disk before its name does."""
  for folder, _, files in os.walk(directory):
    for name in files:
      _sync_one(pathlib.Path(folder, name))
    _sync_one(pathlib.Path(folder))


def _sync_one(path: pathlib.Path):
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
