"""A checkpoint is read whole or not at all, and says what does not fit."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from pwl_jax.interop import load_huggingface, load_reference
from tests.checkpoints import FIXTURES, change_config, changed

SOURCE = FIXTURES / "huggingface" / "resnet_basic"
NAME = "resnet.encoder.stages.1.layers.0.layer.1.convolution.weight"


def spoil(tensors, kind):
  tensor = tensors.pop(NAME)
  if kind == "extra":
    tensors |= {NAME: tensor, "classifier.2.weight": tensor}
  elif kind == "shape":
    tensors[NAME] = tensor[:-1]
  elif kind == "order":  # As many numbers, in another order.
    tensors[NAME] = tensor.transpose(2, 3, 1, 0)
  elif kind == "nan":
    tensor[0, 0, 0, 0] = np.nan
    tensors[NAME] = tensor
  elif kind == "numbers":
    tensors[NAME] = tensor.astype(np.int32)


@pytest.mark.parametrize(
  "kind,message",
  [
    ("missing", "expected [{0}, {0}, 3, 3], found no such tensor"),
    ("extra", "classifier.2.weight: not expected, found [{0}, {0}, 3, 3]"),
    ("shape", "expected [{0}, {0}, 3, 3], found [{1}, {0}, 3, 3]"),
    ("order", "expected [{0}, {0}, 3, 3], found [3, 3, {0}, {0}]"),
    ("nan", "expected finite numbers, found others"),
    ("numbers", "expected numbers in one of F64, F32, F16, BF16, found I32"),
  ],
)
def test_every_misfit_names_the_tensor(tmp_path, kind, message):
  sizes = []

  def change(tensors):
    sizes.append(len(tensors[NAME]))
    spoil(tensors, kind)

  directory = changed(SOURCE, tmp_path, change)
  with pytest.raises(ValueError) as error:
    load_huggingface(directory)
  assert message.format(sizes[0], sizes[0] - 1) in str(error.value)
  assert kind == "extra" or NAME in str(error.value)
  assert "nothing was loaded" in str(error.value)


def test_all_misfits_come_at_once(tmp_path):
  directory = changed(SOURCE, tmp_path, lambda tensors: tensors.clear())
  with pytest.raises(ValueError, match=r"and \d+ more") as error:
    load_huggingface(directory)
  assert len(str(error.value).splitlines()) == 12


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_are_read_as_they_are(tmp_path, dtype):
  def cast(tensors):
    for name, tensor in tensors.items():
      if tensor.dtype == np.float32:
        tensors[name] = tensor.astype(dtype)

  _, cast_variables = load_huggingface(changed(SOURCE, tmp_path, cast))
  _, variables = load_huggingface(SOURCE)

  def same(found, leaf):
    assert found.dtype == jnp.float32
    expected = np.asarray(leaf).astype(dtype).astype(np.float32)
    assert np.array_equal(found, expected)

  jax.tree.map(same, cast_variables, variables)


def test_files_that_are_not_whole(tmp_path):
  directory = changed(SOURCE, tmp_path, lambda tensors: None)
  path = directory / "model.safetensors"
  whole = path.read_bytes()
  for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
    path.write_bytes(whole[:size])
    with pytest.raises(ValueError, match="copied whole"):
      load_huggingface(directory)
  path.unlink()
  (directory / "pytorch_model.bin").touch()
  with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin"):
    load_huggingface(directory)


def test_configs_that_do_not_do(tmp_path):
  directory = changed(SOURCE, tmp_path, lambda tensors: None)
  change_config(directory, model_type="gpt2")
  with pytest.raises(ValueError, match=r"'gpt2'.*'resnet', 'vit'\]"):
    load_huggingface(directory)
  bad = [
    (dict(depths=[1, 0]), r"depths \[1, 0\].*list of positive integers"),
    (dict(depths=2), "depths 2.*list of positive integers"),
    (dict(embedding_size="8"), "embedding_size '8'.*a positive integer"),
    (dict(downsample_in_first_stage=1), "true or false"),
    (dict(hidden_act="rlu"), "hidden_act 'rlu'.*'relu'"),
    (dict(id2label={}), "id2label {}.*an object of names"),
    (dict(hidden_sizes=[8]), r"config\.json: need one number per unit"),
  ]
  original = json.loads((SOURCE / "config.json").read_text())
  for fields, message in bad:
    change_config(directory, **original | fields)
    with pytest.raises(ValueError, match=message):
      load_huggingface(directory)
  change_config(directory, **original)
  with pytest.raises(ValueError, match="units are its stages"):
    load_huggingface(directory, layers_per_unit=2)
  change_config(directory, model_type="resnet", depths=...)
  with pytest.raises(ValueError, match="lacks 'depths'"):
    load_huggingface(directory)
  (directory / "config.json").write_text("{")
  with pytest.raises(ValueError, match="not valid JSON"):
    load_huggingface(directory)
  with pytest.raises(FileNotFoundError, match="the directory"):
    load_huggingface(directory / "nowhere")
  with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
    load_reference(tmp_path)


def test_a_config_of_other_sizes_is_refused(tmp_path):
  directory = changed(SOURCE, tmp_path, lambda tensors: None)
  change_config(directory, embedding_size=12)
  with pytest.raises(ValueError, match=r"embedder.*expected \[12, 3, 7, 7\]"):
    load_huggingface(directory)
