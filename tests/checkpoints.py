"""The fixtures of other code, and how a test takes one and spoils it."""

import json
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


class Golden:
  """A directory's golden arrays; images as [b, h, w, c]."""

  def __init__(self, directory):
    self.arrays = np.load(directory / "golden.npz")
    self.x = jnp.asarray(self.arrays["x"].transpose(0, 2, 3, 1))

  def named(self, prefix):
    """What follows the prefix -> the array."""
    return {
      name.removeprefix(prefix): self.arrays[name]
      for name in self.arrays.files
      if name.startswith(prefix)
    }


def changed(source, target, change):
  """A copy of a checkpoint's directory, its tensors changed in place."""
  target = target / "changed"
  shutil.copytree(source, target)
  path = target / "model.safetensors"
  tensors = safetensors.numpy.load_file(path)
  change(tensors)
  contiguous = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
  safetensors.numpy.save_file(contiguous, path)
  return target


def change_config(directory, **fields):
  """Sets fields of `config.json`; a value of `...` takes the field out."""
  path = directory / "config.json"
  config = json.loads(path.read_text()) | fields
  config = {k: v for k, v in config.items() if v is not ...}
  path.write_text(json.dumps(config))
