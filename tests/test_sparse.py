"""Arrays of mostly zeros: fewer bytes on the disk, the same in memory."""

import copy
import json

import jax
import numpy as np
import pytest

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.names import flat
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.compress.sparse import LEAST, packed, unpack
from pwl_jax.exporting.precision import of_texts
from pwl_jax.runtime import open_model
from tests.bundle_cases import every_fault_is_named, trained

SHARE = 0.8


def pruned(leaf, seed=0):
  """Most weights of a kernel are zero."""
  leaf = np.array(leaf)
  if leaf.ndim > 1:
    rng = np.random.default_rng(seed)
    leaf[rng.random(leaf.shape) < SHARE] = 0
  return leaf


@pytest.fixture(scope="module")
def case():
  found = copy.copy(trained("tiny_resnet"))
  found.variables = jax.tree.map(pruned, found.variables)
  return found


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("shape", [(61, 97), (5000,), (3, 3, 40, 31)])
def test_every_bit_comes_back(dtype, shape):
  array = pruned(np.random.default_rng(1).normal(size=shape) * 50)
  array = array.reshape(shape).astype(dtype)
  if array.ndim == 1:
    array[::2] = 0
  if array.dtype.kind == "f":
    array.reshape(-1)[:3] = -0.0, np.nan, np.inf
  found = packed(array)
  assert found.mask.nbytes + found.values.nbytes <= array.nbytes - LEAST
  out = np.ones_like(array)
  unpack(found, out)
  assert out.tobytes() == array.tobytes()


def test_what_would_save_nothing_is_left_alone():
  full = np.ones((100, 100), np.float32)
  assert packed(full) is None
  few = full.copy()
  few[:3] = 0  # Less than the mask takes.
  assert packed(few) is None
  assert packed(np.zeros(20, np.float32)) is None


def test_a_mask_of_another_count_is_damage():
  found = packed(pruned(np.ones((100, 100), np.float32)))
  with pytest.raises(ValueError, match="of its numbers are there"):
    unpack(found._replace(values=found.values[1:]), np.ones((100, 100)))


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
@pytest.mark.parametrize("precision", ["float32", "int8", "int8+float32"])
def test_a_pruned_network_takes_fewer_bytes_and_is_the_same(
  tmp_path, folder, case, store, precision
):
  directory = tmp_path / "b"
  case.write(
    directory,
    precisions=of_texts("float32", precision, 3),
    platforms=("cpu",),
    store=store,
  )
  assert verify(directory) == []
  bundle = open_bundle(directory)
  manifest = bundle.manifest
  assert json.loads((directory / manifests.NAME).read_text())["format"] == 2
  read = []
  for i in range(3):
    exact = flat(case.variables["teacher"][f"unit{i}"])
    found = bundle.leaves(f"teacher/unit{i}", read.append)
    if precision != "int8":
      assert {n: a.tobytes() for n, a in found.items()} == {
        n: np.asarray(a).tobytes() for n, a in exact.items()
      }
  units = [f"teacher/unit{i}" for i in range(3)]
  assert sum(read) == manifest.bytes_to_read(units)
  if precision != "int8+float32":
    nbytes = sum(manifest.pieces[unit].nbytes for unit in units)
    assert sum(read) < {"float32": 0.4, "int8": 0.8}[precision] * nbytes
  with open_model(directory, cache_dir=folder, keep_student=False) as model:
    upgrade = model.upgrade("TTT")
    upgrade.wait()
    assert model.resident_bytes == manifest.bytes_of("TTT")
    assert upgrade.progress.loaded_bytes == upgrade.progress.total_bytes


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_a_broken_piece_is_named(tmp_path, case, store):
  directory = tmp_path / "b"
  case.write(directory, platforms=("cpu",), store=store)
  every_fault_is_named(directory, store, "teacher/unit2", "teacher/unit2")


def test_networks_of_full_kernels_stay_in_the_first_format(tmp_path):
  trained("tiny_resnet").write(tmp_path / "b", platforms=("cpu",))
  found = json.loads((tmp_path / "b" / manifests.NAME).read_text())
  assert found["format"] == 1
  assert not any("made_of" in piece for piece in found["pieces"].values())
