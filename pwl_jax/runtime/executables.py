"""Compiled programs, kept in the user's own cache between processes.

Compiling takes most of the time until a first answer. What XLA compiled is
kept as bytes, with a digest, in a directory that nobody else may read or write;
what is not what was written there, under that name, is compiled again. Nothing
is unpickled.

A program is told by its own digest, the shapes it is compiled for, the device,
the versions of jax and jaxlib, and the flags of XLA; on a CPU also by what that
CPU can do.
"""

import functools
import hashlib
import os
import pathlib
import platform
import stat
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import jax

FOLDER = "PWL_JAX_CACHE"  # The environment variable; "" keeps nothing.
FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
DIGEST_SIZE = 32
LIMIT = 2**30  # Bytes; the oldest go first.

Executable = Callable[[Sequence[jax.Array]], Any]  # An array, or a tuple.


class Ready(NamedTuple):
  """A program compiled for one shape of features, which has run once."""

  run: Executable
  output: Any  # What it gives, abstract.


def default_folder() -> pathlib.Path | None:
  """Of this user, or what the environment says; None if there is neither."""
  named = os.environ.get(FOLDER)
  base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  try:
    if named is not None:
      return pathlib.Path(named).expanduser() if named else None
    return pathlib.Path(base).expanduser() / "pwl_jax" / "executables"
  except RuntimeError:  # Some users have no home.
    return None


class Cache:
  """A folder of compiled programs; without a folder this process alone keeps.

  What a process has once, it has for all models it opens.
  """

  _here: ClassVar[dict[str, Ready]] = {}

  def __init__(self, folder: pathlib.Path | None):
    # Why a folder that was given is not used.
    self.refused = _why_not_ours(folder) if folder else ""
    self._folder = None if self.refused else folder

  def get(
    self,
    digest: str,
    arguments: Sequence[jax.Array],
    device: jax.Device,
    compile: Callable[[], jax.stages.Compiled],
  ) -> Ready:
    """The program, from here or compiled, to be called with such arguments."""
    key = _key(digest, arguments, device)
    if key not in self._here:
      run = self._load(key, arguments, device, compile)
      output = jax.block_until_ready(run(arguments))
      spec = jax.tree.map(
        lambda part: jax.ShapeDtypeStruct(part.shape, part.dtype), output
      )
      self._here[key] = Ready(run, spec)
    return self._here[key]

  def _load(self, key, arguments, device, compile) -> Executable:
    path = self._folder / key if self._folder else None
    kept = _read(path, device, arguments) if path else None
    if kept is not None:
      return kept
    compiled = compile()
    executable = compiled.runtime_executable()
    if path and hasattr(executable, "serialize"):
      self._write(path, executable)
      if _read(path, device, arguments) is None:
        # What XLA itself took from a cache cannot always be kept once more.
        path.unlink(missing_ok=True)
    return lambda arguments: compiled(*arguments)

  def _write(self, path: pathlib.Path, executable: Any):
    """Best effort: a full disk or a device that cannot is no failure."""
    try:
      written = bytes(executable.serialize())
      temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
      temporary.write_bytes(_digest(path, written) + written)
      temporary.replace(path)
      self._prune()
    except (OSError, jax.errors.JaxRuntimeError, NotImplementedError):
      pass

  def _prune(self):
    files = [
      (path.stat().st_mtime, path)
      for path in self._folder.iterdir()
      if path.is_file()
    ]
    total = sum(path.stat().st_size for _, path in files)
    for _, path in sorted(files):
      if total <= LIMIT:
        break
      total -= path.stat().st_size
      path.unlink(missing_ok=True)


def _key(
  digest: str, arguments: Sequence[jax.Array], device: jax.Device
) -> str:
  parts = (
    *(jax.__version__, jax.lib.__version__),
    *(device.platform, device.device_kind, device.client.platform_version),
    *((_cpu(),) if device.platform == "cpu" else ()),
    *(str(device.id), digest),
    *(os.environ.get(flag, "") for flag in FLAGS),
    *(f"{array.dtype}{list(array.shape)}" for array in arguments),
  )
  return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _why_not_ours(folder: pathlib.Path) -> str:
  """Makes it where it is not there; nobody else may have a hand in it."""
  try:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
  except OSError as error:
    return f"{folder} cannot be made: {error.strerror}"
  if hasattr(os, "getuid") and found.st_uid != os.getuid():
    return f"{folder} belongs to another user"
  if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
    return f"{folder} can be reached by others; chmod 700 makes it yours alone"
  return ""


def _digest(path: pathlib.Path, written: bytes) -> bytes:
  """Of what a file holds, and of its name: that says what it is for."""
  return hashlib.sha256(path.name.encode() + written).digest()


def _read(
  path: pathlib.Path, device: jax.Device, arguments: Sequence[jax.Array]
) -> Executable | None:
  """What was kept, if it is that and runs; None where it has to be compiled."""
  try:
    content = path.read_bytes()
  except OSError:
    return None
  written = content[DIGEST_SIZE:]
  if _digest(path, written) != content[:DIGEST_SIZE]:
    return None
  try:
    run = _runner(written, device)
    jax.block_until_ready(run(arguments))  # Some fail only then.
  except Exception:  # Whatever XLA says, or jaxlib does not have any more.
    return None
  return run


def _runner(written: bytes, device: jax.Device) -> Executable:
  """None of what is used here is promised to stay as it is."""
  devices = jax.sharding.SingleDeviceSharding(device)._internal_device_list
  executable = device.client.deserialize_executable(
    written, executable_devices=devices
  )

  def run(arguments: Sequence[jax.Array]) -> Any:
    results = executable.execute_sharded(arguments)
    parts = results.disassemble_into_single_device_arrays()
    answer = tuple(part for (part,) in parts)
    return answer if len(answer) > 1 else answer[0]

  return run


@functools.cache
def _cpu() -> str:
  """What this CPU can do; a home directory may be shared by several kinds."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    told = {line for line in lines if line.startswith(("flags", "Features"))}
  except OSError:
    told = {platform.processor()}
  return platform.machine() + "".join(sorted(told))
