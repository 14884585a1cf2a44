"""A bundle is there whole or not at all, whenever its writer dies."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import placing, storing
from pwl_jax.bundle.verify import verify
from tests.bundle_cases import handmade
from tests.test_bundle_faults import two_units

# Writes a bundle, and then another over it. Each time, as it begins to touch
# the disk, copies of the process try first and die at the k-th touch: some
# anywhere, and one at each of those with which the bundle takes its place. When
# that is, practice tells, in another place.
WRITER = """
import contextlib, json, os, pathlib, random, signal, sys

from pwl_jax.bundle import manifest, placing, verify
from pwl_jax.exporting import programs
from tests.bundle_cases import trained

directory, practice = map(pathlib.Path, sys.argv[1:])
really, found = placing.replacing, []


touches = 0


def watch(k):
  def hook(event, arguments):
    global touches
    if event.split(".")[0] in ("open", "os", "shutil", "fcntl", "ctypes"):
      touches += 1
      if touches == k:
        os.kill(os.getpid(), signal.SIGKILL)

  sys.addaudithook(hook)


def state():
  try:
    version = manifest.read(directory).config["version"]
  except FileNotFoundError:
    return None, []
  return version, verify.verify(directory)


@contextlib.contextmanager
def replacing(place, *check):
  reader, writer = os.pipe()
  if not os.fork():
    put = placing._put

    def noted(*places):
      os.write(writer, str(touches).encode())
      put(*places)

    placing._put = noted
    with really(practice, *check) as temporary:
      watch(None)
      yield temporary
    os._exit(0)
  os.wait()
  begins = int(os.read(reader, 99))
  anywhere = random.Random(len(found)).sample(range(1, begins - 3), 8)
  for k in [*anywhere, *range(begins - 3, begins + 13)]:
    child = os.fork()
    if not child:
      if k in anywhere:  # Also while it clears away what others left.
        watch(k)
      with really(place, *check) as temporary:
        if k not in anywhere:
          watch(k)
        yield temporary
      os._exit(0)
    _, status = os.waitpid(child, 0)
    found.append((k, os.WTERMSIG(status), *state()))
  with really(place, *check) as temporary:
    yield temporary


placing.replacing = replacing
programs.check_programs = lambda *a, **k: None  # Seconds, before all of this.
case = trained("tiny_vit")
for version in (1, 2):
  case.write(
    directory, store="safetensors", platforms=("cpu",),
    config={"version": version},
  )
print(json.dumps(found))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_bundle(tmp_path):
  directory, practice = tmp_path / "bundle", tmp_path / "practice" / "bundle"
  done = subprocess.run(
    [sys.executable, "-W", "ignore", "-c", WRITER, directory, practice],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout.splitlines()[-1])
  half = len(found) // 2
  for (before, after), tries in (
    ((None, 1), found[:half]),
    ((1, 2), found[half:]),
  ):
    killed = [one for one in tries if one[1] == signal.SIGKILL]
    assert len(killed) >= 16
    for k, _, version, wrong in killed:
      assert version in (before, after) and wrong == [], k
    # Some died before it was in its place, and some after.
    assert {version for _, _, version, _ in killed} == {before, after}
  assert manifests.read(directory).config == {"version": 2}
  assert set(tmp_path.iterdir()) == {directory, practice.parent}  # All.


class Crash(Exception):
  """Where the test stops a writer."""


def crash(*arguments):
  raise Crash


def put(directory, text):
  with placing.replacing(directory) as temporary:
    (temporary / manifests.NAME).write_text(text)


def test_what_fails_leaves_the_old_one_and_nothing_else(tmp_path):
  directory = tmp_path / "bundle"
  put(directory, "old")
  with pytest.raises(Crash), placing.replacing(directory) as temporary:
    (temporary / "half").write_text("new")
    raise Crash
  assert (directory / manifests.NAME).read_text() == "old"
  assert list(tmp_path.iterdir()) == [directory]


def test_where_names_cannot_be_exchanged_two_renames_do(tmp_path, monkeypatch):
  monkeypatch.setattr(placing, "_exchange", lambda a, b: False)
  directory = tmp_path / "bundle"
  for text in ("old", "new"):
    put(directory, text)
    assert (directory / manifests.NAME).read_text() == text
  assert list(tmp_path.iterdir()) == [directory]


def killed_between_two_renames(directory, monkeypatch):
  """As if by SIGKILL: nothing that cleans up runs any more."""
  with monkeypatch.context() as patch:
    patch.setattr(placing, "_exchange", lambda a, b: False)
    patch.setattr(placing.shutil, "rmtree", lambda *a, **k: None)
    rename, count = type(directory).rename, []

    def once(self, target):
      count.append(target)
      return rename(self, target) if len(count) == 1 else crash()

    patch.setattr(type(directory), "rename", once)
    with pytest.raises(Crash):
      put(directory, "new")


def test_between_two_renames_the_old_one_is_named(tmp_path, monkeypatch):
  directory = handmade(tmp_path / "bundle", "safetensors", two_units())
  killed_between_two_renames(directory, monkeypatch)
  with pytest.raises(FileNotFoundError) as caught:
    manifests.read(directory)
  (aside,) = tmp_path.glob(".bundle.old-*")
  assert str(aside) in str(caught.value)
  assert verify(aside) == []


def test_the_next_writer_puts_back_what_was_set_aside(tmp_path, monkeypatch):
  directory = tmp_path / "bundle"
  put(directory, "old")
  killed_between_two_renames(directory, monkeypatch)
  with pytest.raises(Crash), placing.replacing(directory):
    raise Crash
  assert (directory / manifests.NAME).read_text() == "old"
  put(directory, "newer")
  assert (directory / manifests.NAME).read_text() == "newer"
  assert list(tmp_path.iterdir()) == [directory]


def test_a_writer_that_lives_is_left_alone(tmp_path):
  directory = tmp_path / "bundle"
  with placing.replacing(directory) as slow:
    put(directory, "quick")
    assert slow.exists()
    (slow / manifests.NAME).write_text("slow")
  assert (directory / manifests.NAME).read_text() == "slow"
  assert list(tmp_path.iterdir()) == [directory]


def refuse_letters(directory):
  if (directory / "letter").exists():
    raise ValueError("a letter")


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_what_became_something_else_is_put_back(
  tmp_path, monkeypatch, there, exchanges
):
  """In the last moment, behind every other check."""
  directory = tmp_path / "bundle"
  if there:
    put(directory, "old")
  if not exchanges:
    monkeypatch.setattr(placing, "_exchange", lambda a, b: False)
  really = placing._put

  def late(*arguments):
    directory.mkdir(exist_ok=True)
    (directory / "letter").write_text("dear")
    return really(*arguments)

  monkeypatch.setattr(placing, "_put", late)
  with (
    pytest.raises(ValueError, match="a letter"),
    placing.replacing(directory, refuse_letters) as temporary,
  ):
    (temporary / manifests.NAME).write_text("new")
  assert (directory / "letter").read_text() == "dear"
  assert (directory / manifests.NAME).exists() == there
  assert list(tmp_path.iterdir()) == [directory]


def test_what_is_made_between_looking_and_moving_is_put_back(
  tmp_path, monkeypatch
):
  directory = tmp_path / "bundle"
  rename = type(directory).rename

  def late(self, target):
    if not directory.exists():
      directory.mkdir()
      (directory / "letter").write_text("dear")
    return rename(self, target)

  monkeypatch.setattr(type(directory), "rename", late)
  with (
    pytest.raises(ValueError, match="a letter"),
    placing.replacing(directory, refuse_letters),
  ):
    pass
  assert (directory / "letter").read_text() == "dear"
  assert list(tmp_path.iterdir()) == [directory]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_it_goes_on_without(
  tmp_path, monkeypatch, number
):
  def no_locks(*arguments):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(placing.fcntl, "flock", no_locks)
  directory = tmp_path / "bundle"
  with placing.replacing(directory) as slow:
    put(directory, "quick")  # Who cannot tell who lives, clears nobody.
    (slow / manifests.NAME).write_text("slow")
  assert (directory / manifests.NAME).read_text() == "slow"
  dead = tmp_path / ".bundle.new-0"
  dead.mkdir()
  os.utime(dead, (0, 0))
  put(directory, "newer")
  assert list(tmp_path.iterdir()) == [directory]


def test_it_does_not_try_for_ever(tmp_path, monkeypatch):
  def always_locked(*arguments):
    raise BlockingIOError(errno.EWOULDBLOCK, "locked")

  monkeypatch.setattr(placing.fcntl, "flock", always_locked)
  monkeypatch.setattr(placing, "_TRIES", 3)
  with pytest.raises(OSError, match="3 directories"):
    put(tmp_path / "bundle", "new")
  assert len(list(tmp_path.iterdir())) <= 3


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_directories_that_cannot_be_synced_alone_are_no_fault(
  tmp_path, monkeypatch, number
):
  def sync(handle):
    if stat.S_ISDIR(os.fstat(handle).st_mode):
      raise OSError(number, os.strerror(number))

  monkeypatch.setattr(placing.os, "fsync", sync)
  if number == errno.EIO:
    with pytest.raises(OSError):
      put(tmp_path / "bundle", "new")
    assert list(tmp_path.iterdir()) == []
  else:
    put(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / manifests.NAME).exists()


def test_an_orbax_save_that_fails_leaves_nothing(tmp_path):
  """Its threads would go on, and make again what was cleared away."""
  pieces = two_units()
  pieces["student/unit0"]["params/empty"] = np.zeros((0, 3), np.float32)
  for _ in range(3):
    with (
      pytest.raises(OSError, match="cannot be written"),
      placing.replacing(tmp_path / "bundle") as temporary,
    ):
      storing.store(temporary, "orbax", pieces)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_bundle_stays_a_link(tmp_path):
  put(tmp_path / "real", "old")
  (tmp_path / "link").symlink_to("real")
  put(tmp_path / "link", "new")
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "real" / manifests.NAME).read_text() == "new"


def test_others_may_read_what_was_written(tmp_path):
  put(tmp_path / "bundle", "text")
  umask = os.umask(0)
  os.umask(umask)
  assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o777 & ~umask
