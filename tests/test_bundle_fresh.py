"""What a process that only serves has to import."""

import subprocess
import sys

import pytest

from pwl_jax.bundle.reading import open_bundle
from tests.bundle_cases import written

SERVE = """
import sys
import warnings

warnings.simplefilter("error")
from pwl_jax.bundle.reading import open_bundle

bundle = open_bundle(sys.argv[1])
assert not {"jax", "tensorstore", "safetensors", "rich"} & set(sys.modules)
for piece in bundle.manifest.pieces:
  leaves = bundle.leaves(piece)
assert "jax" not in sys.modules
unit = bundle.manifest.unit("S", 0)
bundle.program(unit)
forbidden = {
  "flax", "optax", "tensorflow_datasets", "ml_collections", "orbax",
  "matplotlib", "rich", "pickle5",
}
print(sorted(forbidden & set(sys.modules)))
print("tensorstore" in sys.modules)
"""


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_reading_imports_nothing_of_training(tmp_path_factory, store):
  name = {"orbax": "tiny_resnet", "safetensors": "tiny_vit"}[store]
  directory = written(tmp_path_factory, name, store)
  assert open_bundle(directory).manifest.store == store
  done = subprocess.run(
    [sys.executable, "-c", SERVE, str(directory)],
    capture_output=True,
    text=True,
    timeout=100,
  )
  assert done.returncode == 0, done.stderr
  forbidden, tensorstore = done.stdout.splitlines()
  assert forbidden == "[]"
  assert tensorstore == str(store == "orbax")
