"""Settings of all tests, and the swap networks that they share."""

import gc
import os
import pathlib

# Before jax is imported: one CPU as eight devices, for what runs on several.
# And XLA's CPU backend of jaxlib 0.11 and 0.12 makes NaN of
# some bfloat16 networks in the fusions that this turns off.
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "")
  + " --xla_force_host_platform_device_count=8"
  + " --xla_cpu_experimental_ynn_fusion_type="
)

# What a user keeps stays out of it.
os.environ["PWL_JAX_CACHE"] = os.path.abspath(".pytest_cache/executables")

# Tests compile much and compute little: XLA's passes cost more than they give.
# And many of them compile the same programs, today and tomorrow, as do the
# processes that they start.
os.environ |= {
  "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
  "JAX_COMPILATION_CACHE_DIR": os.path.abspath(".pytest_cache/programs"),
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
  "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

import jax
import pytest

from pwl_jax import models
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.runtime import open_model
from tests.bundle_cases import written
from tests.cases import Case

# A process may have 65,530 on Linux, a compiled program takes several, and
# XLA crashes where there are no more.
MOST_MAPPINGS = 30_000


@pytest.fixture(autouse=True)
def enough_mappings():
  """Lets go of what was compiled, before there is too much of it."""
  yield
  maps = pathlib.Path("/proc/self/maps")
  if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPPINGS:
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def tiny():
  """tiny(preset, converter) -> Case; each is made once."""
  made = {}

  def get(name="tiny_vit", converter="auto"):
    if (name, converter) not in made:
      networks = models.create_pair(name)
      swapnet = SwapNet.create(*networks, converter=converter)
      made[name, converter] = Case(swapnet)
    return made[name, converter]

  return get


@pytest.fixture
def folder(tmp_path_factory):
  """Compiled programs are shared by the tests of one process."""
  return tmp_path_factory.getbasetemp() / "programs"


@pytest.fixture
def opened(folder, tmp_path_factory):
  """opened(**options) -> a model that serves; closed in the end, if kept."""
  models = []

  def get(name="tiny_resnet", store="safetensors", kept=True, **options):
    bundle = written(tmp_path_factory, name, store)
    model = open_model(bundle, **{"cache_dir": folder} | options)
    if kept:
      models.append(model)
    return model

  yield get
  for model in models:
    model.close()
