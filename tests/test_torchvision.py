"""Files with torchvision's and timm's names; the network is told from them."""

import jax.numpy as jnp
import pytest

from pwl_jax.interop import load_torchvision
from tests.cases import assert_close
from tests.checkpoints import FIXTURES, Golden, changed

SOURCE = FIXTURES / "torchvision"
CASES = {  # Options, and the number of units.
  "torchvision_vgg": ({}, 5),
  "torchvision_vit": (dict(heads=2, layers_per_unit=2), 2),
  "timm_vit": (dict(heads=2, layers_per_unit=(1, 3)), 2),
  "timm_resnet_basic": ({}, 4),
  "timm_resnet_bottleneck": ({}, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_the_original(name):
  options, num_units = CASES[name]
  directory = SOURCE / name
  network, variables = load_torchvision(
    directory / "model.safetensors", **options
  )
  assert network.num_units == num_units
  golden = Golden(directory)
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"])


def test_vgg_in_timms_spelling(tmp_path):
  """There the dense layers are convolutions over the whole image."""

  def rename(tensors):
    for number, side in ((0, 7), (3, 1)):
      for part in ("weight", "bias"):
        tensor = tensors.pop(f"classifier.{number}.{part}")
        if part == "weight":
          tensor = tensor.reshape(tensor.shape[0], -1, side, side)
        tensors[f"pre_logits.fc{1 + number // 3}.{part}"] = tensor
    for part in ("weight", "bias"):
      tensors[f"head.fc.{part}"] = tensors.pop(f"classifier.6.{part}")

  source = SOURCE / "torchvision_vgg"
  directory = changed(source, tmp_path, rename)
  network, variables = load_torchvision(directory / "model.safetensors")
  golden = Golden(source)
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"])


def test_what_cannot_be_told_is_asked_for():
  path = SOURCE / "timm_vit" / "model.safetensors"
  with pytest.raises(ValueError, match=r"width of 16; pass heads="):
    load_torchvision(path)
  path = SOURCE / "timm_resnet_basic" / "model.safetensors"
  with pytest.raises(ValueError, match="holds no ViT"):
    load_torchvision(path, heads=2)
  path = FIXTURES / "huggingface" / "vit" / "model.safetensors"
  with pytest.raises(ValueError, match="none of the tensors that tell"):
    load_torchvision(path)


def test_a_vgg_without_batch_norm_is_named_so(tmp_path):
  def drop_norms(tensors):
    keep, position = {}, 0
    for name in [n for n in tensors if n.startswith("features.")]:
      tensor = tensors.pop(name)
      if tensor.ndim == 4:
        keep[f"features.{position}.weight"] = tensor
        position += 2
    tensors.update(keep)

  directory = changed(SOURCE / "torchvision_vgg", tmp_path, drop_norms)
  with pytest.raises(ValueError, match="not those of a VGG with batch norm"):
    load_torchvision(directory / "model.safetensors")


def test_parameters_are_float32_whatever_is_computed_in():
  network, variables = load_torchvision(
    SOURCE / "timm_resnet_basic" / "model.safetensors", dtype=jnp.bfloat16
  )
  golden = Golden(SOURCE / "timm_resnet_basic")
  logits = network.logits(variables, golden.x)
  assert logits.dtype == jnp.float32
  assert_close(logits, golden.arrays["logits"], 0.1)
