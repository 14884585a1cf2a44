"""benchmarks/gpu_suite.sh: what it would do, and what it does with a fake."""

import os
import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

from benchmarks import plans
from tests.test_launch import DEADLINE, SAVED, Pipe, finished

ROOT = pathlib.Path(__file__).parents[1]
SUITE = ROOT / "benchmarks" / "gpu_suite.sh"

# By the file `plan`, it ends with a code, or waits for the signal to save.
FAKE_PYTHON = f"""#!{sys.executable}
import os, pathlib, shlex, signal, sys

signal.alarm({DEADLINE})  # Should the script under test not end it.
seen = pathlib.Path(os.environ["SEEN"])
plan = (seen / "plan").read_text()
with open(seen / "calls", "a") as calls:
  calls.write(shlex.join(sys.argv[1:]) + "\\n")
print("said of", plan, flush=True)
if plan == "wait":
  signal.signal(signal.SIGTERM, lambda *_: sys.exit({SAVED}))
  (seen / "ready").write_text("ready")
  while True:
    signal.pause()
sys.exit(int(plan))
"""


@pytest.fixture
def suite(tmp_path):
  """suite(plan, arguments): starts it, with a fake for python."""
  python = tmp_path / "python"
  python.write_text(FAKE_PYTHON)
  python.chmod(0o755)

  def start(plan, *arguments, **environment):
    (tmp_path / "plan").write_text(plan)
    return subprocess.Popen(
      ["bash", str(SUITE), "state dir", *arguments],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      cwd=tmp_path,
      env={
        "PATH": os.environ["PATH"],
        "PYTHON": str(python),
        "SEEN": str(tmp_path),
        "DATA_DIR": "some data",
        **environment,
      },
      start_new_session=True,
    )

  return start


def run(suite, *arguments, **environment):
  with suite(*arguments, **environment) as process:
    return finished(process)


def calls(tmp_path):
  path = tmp_path / "calls"
  return path.read_text().splitlines() if path.exists() else []


def dry(suite, *arguments):
  done = run(suite, "0", "--dry-run", *arguments)
  assert (done.returncode, done.err) == (0, "")
  return [shlex.split(line) for line in done.out.splitlines()]


def test_a_dry_run_tells_every_part(suite, tmp_path):
  lines = dry(suite)
  words = {word for line in lines for word in line}
  for family in ("vgg", "resnet", "vit"):
    for data in ("cifar10", "cifar100"):
      assert f"--config=configs/cifar.py:{family},{data}" in words
  assert f"--config.data.data_dir={tmp_path}/some data" in words
  assert "--config.model.dtype=bfloat16" in words
  assert set(plans.NAMES) <= words
  tests = [word for word in words if word.startswith("tests/")]
  assert tests and all((ROOT / path).exists() for path in tests)
  assert not (tmp_path / "state dir").exists() and not calls(tmp_path)


def test_steps_in_a_call_divide_an_epoch_of_the_pipelines(suite):
  (flag,) = {
    word
    for line in dry(suite)
    for word in line
    if word.startswith("--config.steps_per_call=")
  }
  assert 50_000 * 9 // 10 // 128 % int(flag.split("=")[1]) == 0


def test_parts_are_done_once(suite, tmp_path):
  chosen = ("--small", "--only=cifar10_*")
  done = run(suite, "0", *chosen)
  assert done.returncode == 0, done.err
  assert len(calls(tmp_path)) == 3
  assert all(",small" in call for call in calls(tmp_path))
  log = tmp_path / "state dir" / "logs" / "cifar10_vgg.log"
  assert log.read_text() == "said of 0\n"
  assert run(suite, "0", *chosen).returncode == 0
  assert len(calls(tmp_path)) == 3
  assert dry(suite, *chosen) == []


def test_what_was_told_to_end_goes_on_later(suite, tmp_path):
  chosen = ("--small", "--only=cifar10_*")
  pipe = Pipe(tmp_path / "ready")
  with suite("wait", *chosen) as process:
    pipe.wait()
    process.send_signal(signal.SIGTERM)
    finished(process)
  assert process.returncode == SAVED
  assert "cifar10_vgg is not finished" in process.err
  assert len(calls(tmp_path)) == 1
  assert run(suite, "0", *chosen).returncode == 0
  assert calls(tmp_path)[0] == calls(tmp_path)[1]


def test_no_part_starts_when_the_time_is_over(suite, tmp_path):
  done = run(suite, "0", "--small", "--seconds=0")
  assert done.returncode == SAVED
  assert "goes on with test_losses" in done.err and not calls(tmp_path)


def test_what_saved_itself_is_not_done(suite, tmp_path):
  done = run(suite, str(SAVED), "--small")
  assert done.returncode == SAVED and len(calls(tmp_path)) == 1


def test_a_part_that_fails_is_told_and_holds_up_no_other(suite, tmp_path):
  chosen = ("--small", "--only=benchmark_*")
  done = run(suite, "3", *chosen)
  assert done.returncode == 1 and len(calls(tmp_path)) == 2
  assert "benchmark_reads failed with exit code 3" in done.err
  assert "said of 3" in done.err
  failed = tmp_path / "state dir" / "failed" / "benchmark_reads"
  assert run(suite, "0", *chosen).returncode == 1  # It is not tried again,
  assert len(calls(tmp_path)) == 2
  failed.unlink()  # until somebody has looked at it.
  assert run(suite, "0", *chosen).returncode == 1
  assert len(calls(tmp_path)) == 3


@pytest.mark.parametrize(
  "arguments,told",
  [
    (("--secnds=3",), "no option --secnds=3"),
    (("--seconds=soon",), "seconds is a whole number; got 'soon'"),
    (("another",), "one STATE_DIR is enough"),
  ],
)
def test_arguments_that_cannot_be_are_refused(suite, arguments, told):
  done = run(suite, "0", *arguments)
  assert (done.returncode, done.out) == (2, "") and told in done.err


def test_the_data_has_to_be_named(suite):
  done = run(suite, "0", "--dry-run", DATA_DIR="")
  assert done.returncode == 2 and "set DATA_DIR, such as" in done.err


def test_its_usage_names_its_settings(suite):
  shown = run(suite, "0", "--help").out
  assert shown.startswith("Everything that is worth knowing")
  for name in ("DATA_DIR", "PYTHON", "DTYPE", "STEPS_PER_CALL", "--only"):
    assert name in shown
