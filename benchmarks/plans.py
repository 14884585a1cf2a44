"""What `python -m benchmarks` measures: for each name, arguments by turn.

Each is a command on its own, `python -m benchmarks.NAME ARGUMENTS`.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax

# Preset, and examples in a batch.
STEPS = {"vgg": 128, "resnet": 128, "vit": 16}
QUICK_STEPS = {"tiny_vgg": 8, "tiny_resnet": 8, "tiny_vit": 8}
CASES = "--cases=teacher,student_kd,distill_mixed"


class Plan(NamedTuple):
  """The commands of a benchmark, and why others are left out."""

  commands: list[list[str]]
  left_out: tuple[str, ...] = ()


def make_plan(name: str, *, quick: bool, torch: bool) -> Plan:
  if name == "train_step":
    return _train_step(quick, *_peer(torch, _steps_reason))
  if name == "cold_start":
    return _cold_start(quick, *_peer(torch, _first_answer_reason))
  return Plan(_QUICK[name] if quick else _FULL[name])


def _cold_start(quick, peer, left_out) -> Plan:
  preset = "tiny_vit" if quick else "vit_small_tiny"
  named = [f"--preset={preset}", *(["--rounds=1"] if quick else [])]
  return Plan(
    [[*named, "--store=safetensors", *peer], [*named, "--store=orbax"]],
    left_out,
  )


def _train_step(quick, peer, left_out) -> Plan:
  on_cpu = jax.default_backend() == "cpu"
  dtypes = ["float32"] if on_cpu else ["float32", "bfloat16"]
  if on_cpu:
    left_out += (
      "bfloat16: few CPUs compute in it, and others take it apart into "
      "float32, which says nothing of either program",
    )
  more = ["--rounds=2"] if quick else []
  if on_cpu:
    # Two of them keep two cores busier than one does.
    shared = [["--devices=2"]] if quick else [["--devices=1"], ["--devices=2"]]
  else:
    more, shared = [*more, "--steps_per_call=10"], [[]]
  return Plan(
    [
      [
        f"--preset={preset}",
        f"--batch_size={batch_size}",
        f"--dtype={dtype}",
        *(CASES, *more, *devices, *peer),
      ]
      for preset, batch_size in (QUICK_STEPS if quick else STEPS).items()
      for dtype in dtypes
      for devices in shared
    ],
    left_out,
  )


_FULL = {
  "swap": [["--preset=vit_small_tiny", "--store=safetensors", "--cycles=20"]],
  "evaluation": [["--preset=resnet"], ["--preset=vgg"]],
  "scaling": [[]],
  "reads": [["--megabytes=64"]],
}
_QUICK = {
  "swap": [["--preset=tiny_vgg", "--store=safetensors", "--cycles=4"]],
  "evaluation": [["--preset=tiny_vgg", "--batch_size=4", "--rounds=1"]],
  "scaling": [["--quick"]],
  "reads": [["--megabytes=1", "--rounds=1"]],
}
NAMES = ("train_step", "cold_start", *_FULL)


def _peer(
  asked: bool, reason_of: Callable[[], str | None]
) -> tuple[list[str], tuple[str, ...]]:
  """The flag; or none, and why."""
  if not asked:
    reason = "it was not asked for"
  elif importlib.util.find_spec("torch") is None:
    reason = "it is not installed (requirements-bench.txt)"
  else:
    reason = reason_of()
  return ([], (f"PyTorch: {reason}",)) if reason else (["--torch"], ())


def _steps_reason() -> str | None:
  # Here, so that all else goes without torch.
  from benchmarks.peers.cases import device_of_jax

  try:
    device_of_jax()
  except ValueError as error:
    return str(error)
  return None


def _first_answer_reason() -> str | None:
  """Its imports are many, and may not fit each other."""
  tried = subprocess.run(
    [sys.executable, "-m", "benchmarks.peers.first_answer", "--help"],
    capture_output=True,
    text=True,
  )
  if not tried.returncode:
    return None
  *_, last = tried.stderr.strip().splitlines()
  return f"`python -m benchmarks.peers.first_answer` says {last}"
