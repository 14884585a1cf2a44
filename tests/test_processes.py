"""The real command: ended and given again, and as two processes."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys

import jax
import pytest
from jax import flatten_util

from pwl_jax import models, trained
from pwl_jax.config import default_config
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.report.results import read
from pwl_jax.training import distributed
from pwl_jax.training.artefacts import is_complete, load_variables, placed
from pwl_jax.training.interruption import EXIT_CODE
from pwl_jax.training.parallel import sharding
from tests.cases import assert_close, trees_equal

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENT = {
  **os.environ,
  "JAX_PLATFORMS": "cpu",
  "XLA_FLAGS": "",
}
LONG = ("--config.stages=teacher", "--config.teacher.epochs=40")


def start(workdir, *arguments):
  return subprocess.Popen(
    [
      *(sys.executable, "-m", "pwl_jax.main"),
      *("--config=tests/tiny_config.py", f"--workdir={workdir}"),
      *arguments,
    ],
    cwd=ROOT,
    env=ENVIRONMENT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


@contextlib.contextmanager
def two(workdir, *arguments, second=()):
  """Two processes that find each other; ended where a test fails."""
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
  shared = (f"--coordinator_address=localhost:{port}", "--num_processes=2")
  both = [
    start(workdir, *shared, f"--process_id={i}", *arguments, *own)
    for i, own in enumerate(((), second))
  ]
  try:
    yield both
  finally:
    for process in both:
      process.kill()


def exit_codes(*processes):
  """With what they said, where one did not end well."""
  found = [(*p.communicate(timeout=300), p.returncode) for p in processes]
  if any(code not in (0, EXIT_CODE) for *_, code in found):
    raise AssertionError("\n".join(map(str, found)))
  return [code for *_, code in found]


def wait_for_step(process):
  """Until it is in the middle of its run."""
  for line in process.stdout:
    if line.startswith("teacher 1/"):
      return
  raise AssertionError(process.stderr.read())


def made(workdir, stage, swapnet):
  """The variables that a stage left."""
  makes = trained.TRAININGS[stage].makes
  shapes = {role: swapnet.abstract_variables()[role] for role in makes}
  everywhere = sharding(jax.devices()[:1])
  return load_variables(workdir / stage, placed(shapes, everywhere))


def pair(preset, *input_shape):
  networks = models.create_pair(preset, input_shape=input_shape)
  return SwapNet.create(*networks, default_config().model.converter)


def test_a_command_that_was_ended_goes_on_to_the_same_end(tmp_path):
  broken = start(tmp_path / "broken", *LONG)
  wait_for_step(broken)
  broken.send_signal(signal.SIGTERM)
  _, said = broken.communicate(timeout=300)
  assert broken.returncode == EXIT_CODE and "same command continues" in said
  again, unbroken = (start(tmp_path / n, *LONG) for n in ("broken", "unbroken"))
  assert exit_codes(again, unbroken) == [0, 0]
  swapnet = pair("tiny_vgg", 8, 8, 1)
  assert trees_equal(
    *(made(tmp_path / n, "teacher", swapnet) for n in ("broken", "unbroken"))
  )


def test_two_processes_equal_one(tmp_path):
  arguments = (
    "--config.stages=teacher,distill,evaluate",
    "--config.cross=all",
    "--config.model.preset=tiny_vit",
    "--config.data.name=synthetic:60x8x8x3/10",
  )
  with two(tmp_path / "two", *arguments) as both:
    one = start(tmp_path / "one", *arguments)
    assert exit_codes(*both, one) == [0, 0, 0]
  swapnet = pair("tiny_vit", 8, 8, 3)
  for stage in ("teacher", "distill"):
    trees = [made(tmp_path / n, stage, swapnet) for n in ("two", "one")]
    assert_close(*(flatten_util.ravel_pytree(tree)[0] for tree in trees), 1e-5)
  two_found, one_found = (
    read(tmp_path / n / "report" / "results.json")["compositions"]
    for n in ("two", "one")
  )
  assert two_found.keys() == one_found.keys()
  for word, found in one_found.items():
    for split in ("valid", "test"):
      assert two_found[word][split]["top1"] == found[split]["top1"]
      assert_close(two_found[word][split]["loss"], found[split]["loss"], 1e-5)


def test_two_processes_end_together_when_one_is_told(tmp_path):
  with two(tmp_path, *LONG) as both:
    wait_for_step(both[0])
    both[1].send_signal(signal.SIGTERM)
    assert exit_codes(*both) == [EXIT_CODE] * 2
  assert not is_complete(tmp_path / "teacher")
  with two(tmp_path, *LONG) as both:
    assert exit_codes(*both) == [0, 0]
  assert is_complete(tmp_path / "teacher")


@pytest.mark.parametrize(
  "second,messages",
  [
    ("--config.seed=5", ["given different configs"] * 2),
    ("--config.data.valid_share=0", ["another process", "valid_share of 0"]),
  ],
)
def test_what_stops_one_of_two_processes_stops_both(tmp_path, second, messages):
  with two(tmp_path / "run", second=[second]) as both:
    for process, message in zip(both, messages, strict=True):
      _, said = process.communicate(timeout=300)
      assert process.returncode == 1 and message in said, said
      assert "Traceback" not in said
  assert not (tmp_path / "run" / "teacher").exists()


def test_processes_that_do_not_fit_say_what_to_give(tmp_path):
  alone = start(tmp_path / "run", "--distributed=on")
  _, said = alone.communicate(timeout=300)
  assert alone.returncode == 1 and "--coordinator_address=HOST:PORT" in said
  assert "Traceback" not in said and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  "variables,expected",
  [
    ({}, False),
    ({"SLURM_NTASKS": "1"}, False),
    ({"SLURM_NTASKS": "8"}, True),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
    ({"JAX_COORDINATOR_ADDRESS": "a:1"}, True),
  ],
)
def test_a_cluster_is_told_from_the_environment(
  monkeypatch, variables, expected
):
  for name in (*distributed.COUNTS, *distributed.HOSTS, distributed.ADDRESS):
    monkeypatch.delenv(name, raising=False)
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  assert distributed.detected() is expected
