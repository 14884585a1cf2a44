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
import time
from collections.abc import Callable, Iterator

Check = Callable[[pathlib.Path], object]

_NEW, _OLD = "new", "old"
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE, AT_FDCWD of Linux.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_TRIES = 100
_ABANDONED = 24 * 3600  # Seconds; where locks do not tell who lives.


def _accept(directory: pathlib.Path):
  """Whatever is there may be replaced."""


@contextlib.contextmanager
def replacing(
  directory: pathlib.Path, check: Check = _accept
) -> Iterator[pathlib.Path]:
  """Gives an empty directory, and puts what it then holds in its place.

  `check` is given what would be replaced, and raises if it is to stay.
  """
  directory = pathlib.Path(directory).resolve()
  check(directory)
  directory.parent.mkdir(parents=True, exist_ok=True)
  _clear(directory)
  with _locked_beside(directory) as temporary:
    made = temporary.stat().st_ino
    try:
      yield temporary
      _sync(temporary)
      check(directory)
      old = _put(temporary, directory, check)
    except BaseException:
      # By now something else may have its name, which is not ours to remove.
      if temporary.exists() and temporary.stat().st_ino == made:
        _remove(temporary)
      raise
    if old:
      _remove(old)
    _sync_one(directory.parent)


def set_aside(directory: pathlib.Path) -> pathlib.Path | None:
  """Where a killed writer left what had been at a place that is empty now."""
  directory = pathlib.Path(directory).resolve()
  found = sorted(
    _beside(directory, _OLD), key=lambda path: path.stat().st_ctime
  )
  return found[-1] if found and not directory.exists() else None


def _put(
  new: pathlib.Path, directory: pathlib.Path, check: Check
) -> pathlib.Path | None:
  """Puts it there; gives what had been there, to be removed."""
  if _moved(new, directory):
    return None
  old = new if _exchange(new, directory) else _set_aside(new, directory)
  try:
    check(old)  # Until now it could have become something else.
  except BaseException:
    _put_back(new, old, directory)
    raise
  return old


def _moved(new: pathlib.Path, directory: pathlib.Path) -> bool:
  """To a place where nothing is."""
  if directory.exists():
    return False
  try:
    new.rename(directory)
  except OSError:
    if directory.exists():  # Since a moment ago.
      return False
    raise
  return True


def _set_aside(new: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
  """The same with two renames, and a moment without either."""
  old = _name(directory, _OLD)
  directory.rename(old)
  try:
    new.rename(directory)
  except OSError:
    old.rename(directory)
    raise
  return old


def _put_back(new: pathlib.Path, old: pathlib.Path, directory: pathlib.Path):
  """All three have the names that they had before."""
  if old != new:
    directory.rename(new)
    old.rename(directory)
  elif not _exchange(new, directory):
    raise OSError(f"what was at {directory} lies at {new} now")


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
    with contextlib.suppress(OSError), _lock(path) as locked:
      if locked or time.time() - path.stat().st_mtime > _ABANDONED:
        _remove(path)


@contextlib.contextmanager
def _locked_beside(directory: pathlib.Path) -> Iterator[pathlib.Path]:
  """A new directory; one who clears may just take it for a dead writer's."""
  for _ in range(_TRIES):
    path = _name(directory, _NEW)
    path.mkdir()
    with contextlib.ExitStack() as stack:
      try:
        stack.enter_context(_lock(path))
      except (BlockingIOError, FileNotFoundError):
        continue
      if path.exists():
        yield path
        return
  raise OSError(
    f"{_TRIES} directories were made beside {directory}, and something removed "
    "or locked each of them at once; see what else works there"
  )


@contextlib.contextmanager
def _lock(path: pathlib.Path) -> Iterator[bool]:
  """Of this process, while it lives; raises where another one has it.

  Some file systems have no locks: gives False there.
  """
  handle = os.open(path, os.O_RDONLY)
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      locked = True
    except BlockingIOError:
      raise
    except OSError:
      locked = False
    yield locked
  finally:
    os.close(handle)


def _remove(directory: pathlib.Path):
  """As far as possible; again while threads of a failed writer add to it."""
  for _ in range(_TRIES):
    shutil.rmtree(directory, ignore_errors=True)
    if not os.path.lexists(directory):
      return


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
  except OSError as error:
    # Some file systems sync files alone.
    if not (path.is_dir() and error.errno in _CANNOT):
      raise
  finally:
    os.close(handle)
