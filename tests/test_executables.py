"""Compiled programs between processes: kept, verified, or made again."""

import hashlib
import os
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from pwl_jax.runtime.executables import FOLDER, Cache, default_folder

DEVICE = jax.devices()[0]
ARGUMENTS = (jnp.arange(4.0), jnp.ones(4))


@pytest.fixture(autouse=True)
def without_other_caches(monkeypatch):
  """What XLA took from that one cannot be kept once more."""
  monkeypatch.setattr(Cache, "_here", Forgetful())
  folder = jax.config.jax_compilation_cache_dir
  jax.config.update("jax_compilation_cache_dir", None)
  compilation_cache.reset_cache()
  yield
  jax.config.update("jax_compilation_cache_dir", folder)
  compilation_cache.reset_cache()


class Forgetful(dict):
  """As if every call came from a new process."""

  def __contains__(self, key):
    return False


class Compiler:
  """Compiles a * b + 1, and counts."""

  def __init__(self):
    self.times = 0

  def __call__(self):
    self.times += 1
    program = jax.jit(lambda a, b: a * b + 1)
    return program.lower(*ARGUMENTS).compile()


def answers(cache, compiler, digest="program", arguments=ARGUMENTS):
  ready = cache.get(digest, arguments, DEVICE, compiler)
  assert ready.output.shape == (4,) and ready.output.dtype == "float32"
  return ready.run(arguments).tolist() == [1, 2, 3, 4]


def test_what_was_compiled_is_kept(tmp_path):
  folder, compiler = tmp_path / "programs", Compiler()
  for _ in range(3):
    assert answers(Cache(folder), compiler)
  assert compiler.times == 1 and len(list(folder.iterdir())) == 1
  assert folder.stat().st_mode & 0o777 == 0o700
  assert answers(Cache(folder), compiler, digest="another program")
  assert compiler.times == 2 and len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("keep", [0, 10, -5])
def test_what_is_damaged_is_compiled_again(tmp_path, keep):
  folder, compiler = tmp_path / "programs", Compiler()
  assert answers(Cache(folder), compiler)
  (path,) = folder.iterdir()
  whole = path.read_bytes()
  path.write_bytes(whole[:keep])
  assert answers(Cache(folder), compiler)
  assert compiler.times == 2 and path.read_bytes()[:32] != b""
  assert answers(Cache(folder), compiler)
  assert compiler.times == 2


def test_what_is_no_program_is_compiled_again(tmp_path):
  """Even with a digest that is right."""
  folder, compiler = tmp_path / "programs", Compiler()
  assert answers(Cache(folder), compiler)
  (path,) = folder.iterdir()
  digest = hashlib.sha256(path.name.encode() + b"nothing").digest()
  path.write_bytes(digest + b"nothing")
  assert answers(Cache(folder), compiler)
  assert compiler.times == 2


def test_a_program_under_another_name_is_not_trusted(tmp_path):
  folder, compiler = tmp_path / "programs", Compiler()
  assert answers(Cache(folder), compiler)
  (first,) = folder.iterdir()
  assert answers(Cache(folder), compiler, digest="another")
  (other,) = {*folder.iterdir()} - {first}
  other.write_bytes(first.read_bytes())
  assert answers(Cache(folder), compiler, digest="another")
  assert compiler.times == 3


def test_flags_make_another_program(tmp_path, monkeypatch):
  folder, compiler = tmp_path / "programs", Compiler()
  assert answers(Cache(folder), compiler)
  monkeypatch.setenv("XLA_FLAGS", "--some_flag")
  assert answers(Cache(folder), compiler)
  assert compiler.times == 2 and len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_reach_is_not_used(tmp_path, mode):
  folder, compiler = tmp_path / "programs", Compiler()
  folder.mkdir()
  folder.chmod(mode)
  for _ in range(2):
    assert answers(Cache(folder), compiler)
  assert compiler.times == 2 and not list(folder.iterdir())
  assert "can be reached by others" in Cache(folder).refused


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path):
  (tmp_path / "file").write_text("")
  for folder in (None, tmp_path / "file" / "programs"):
    assert answers(Cache(folder), Compiler())


def test_the_oldest_go_first(tmp_path, monkeypatch):
  folder, compiler = tmp_path / "programs", Compiler()
  assert answers(Cache(folder), compiler, digest="0")
  (oldest,) = folder.iterdir()
  os.utime(oldest, (1, 1))
  size = oldest.stat().st_size
  monkeypatch.setattr("pwl_jax.runtime.executables.LIMIT", int(1.5 * size))
  assert answers(Cache(folder), compiler, digest="1")
  assert not oldest.exists() and len(list(folder.iterdir())) == 1


def test_where_they_are_kept(monkeypatch, tmp_path):
  monkeypatch.setenv(FOLDER, str(tmp_path))
  assert default_folder() == tmp_path
  monkeypatch.setenv(FOLDER, "~/programs")
  assert default_folder() == pathlib.Path.home() / "programs"
  monkeypatch.setenv(FOLDER, "")
  assert default_folder() is None
  monkeypatch.delenv(FOLDER)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert default_folder() == tmp_path / "pwl_jax" / "executables"
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setattr(pathlib.Path, "expanduser", homeless)
  assert default_folder() is None


def homeless(path):
  raise RuntimeError("Could not determine home directory.")


def test_a_process_compiles_once_without_a_folder(monkeypatch):
  monkeypatch.setattr(Cache, "_here", {})
  compiler = Compiler()
  for _ in range(3):
    assert answers(Cache(None), compiler)
  assert compiler.times == 1
