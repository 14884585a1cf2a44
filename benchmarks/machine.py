"""What a benchmark ran on: hardware, and versions of what it ran with."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import re

import jax

from pwl_jax.training import large_pages
from pwl_jax.training.parallel import Devices

PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers")


def slug() -> str:
  """Short and fit for a folder: cpu-2, nvidia-h200, nvidia-h200-x8."""
  devices = jax.devices()
  if devices[0].platform == "cpu":
    return f"cpu-{cores()}"
  kind = re.sub(r"[^a-z0-9]+", "-", devices[0].device_kind.lower()).strip("-")
  return kind + (f"-x{len(devices)}" if len(devices) > 1 else "")


def take_devices(count: int | None) -> Devices:
  """The first so many; of a CPU as many are made, if it has not begun."""
  if count:
    with contextlib.suppress(RuntimeError):
      jax.config.update("jax_num_cpu_devices", count)
  devices = jax.devices()[:count]
  if count and len(devices) < count:
    raise ValueError(
      f"--devices={count}, and there are {len(devices)}; give at most as many"
    )
  return devices


def cores() -> int:
  """Those that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def hardware() -> dict[str, str]:
  devices = jax.devices()
  on_cpu = devices[0].platform == "cpu"
  return {
    "processor": _processor(),
    "cores": str(cores()),
    "memory": f"{_memory() / 2**30:.0f} GiB",
    "accelerator": "none"
    if on_cpu
    else f"{len(devices)} x {devices[0].device_kind}",
  }


def pages() -> str:
  """Which pages of memory this process asks for, as a setting."""
  name = large_pages.VARIABLE
  return f"{name}={os.environ.get(name, '')}"


def versions() -> dict[str, str]:
  """Of those that are installed."""
  found = {"python": platform.python_version()}
  for package in PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def _processor() -> str:
  info = pathlib.Path("/proc/cpuinfo")
  text = info.read_text() if info.exists() else ""
  match = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
  return match[1].strip() if match else platform.processor() or "unknown"


def _memory() -> int:
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
