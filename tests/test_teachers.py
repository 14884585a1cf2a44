"""Any foreign checkpoint as a teacher: recognised, and cut as a student is."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.interop import (
  load_huggingface,
  load_network,
  load_torchvision,
  recognise,
)
from pwl_jax.interop.cutting import cut
from pwl_jax.method.variables import count_parameters
from tests.cases import assert_close, trees_equal
from tests.checkpoints import FIXTURES, Golden

HUGGINGFACE = FIXTURES / "huggingface"
REFERENCE = FIXTURES / "reference"
TORCHVISION = FIXTURES / "torchvision"
WEIGHTS = "model.safetensors"
# Fixture -> options, units, and the answers' name in the golden file.
CASES = {
  "huggingface/resnet_basic": ({}, 4, "logits"),
  "huggingface/resnet_bottleneck": ({}, 4, "logits"),
  "huggingface/vit": (dict(num_units=2), 2, "logits"),
  "reference/lenet5": ({}, 4, "logits_TTTT"),
  "reference/resnet": ({}, 4, "logits_TTTT"),
  "reference/vgg": ({}, 5, "logits_TTTTT"),
  "reference/vit": (dict(num_units=2), 2, "logits_TTTT"),
  "torchvision/timm_resnet_basic": ({}, 4, "logits"),
  "torchvision/timm_vit": (dict(heads=2, num_units=1), 1, "logits"),
  "torchvision/torchvision_vgg": ({}, 5, "logits"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_path_is_enough(name):
  options, num_units, answers = CASES[name]
  golden = Golden(FIXTURES / name)
  input_shape = golden.x.shape[1:]
  network, variables = load_network(
    FIXTURES / name, input_shape=input_shape, **options
  )
  assert network.num_units == num_units
  assert network.input_shape == input_shape
  assert recognise(FIXTURES / name).format == name.split("/")[0]
  assert_close(network.logits(variables, golden.x), golden.arrays[answers])


@pytest.mark.parametrize("num_units", [1, 2, 3, 6])
def test_layers_go_on_in_order_however_a_vit_is_cut(num_units):
  network, variables = load_network(HUGGINGFACE / "vit", num_units=num_units)
  expected = load_huggingface(
    HUGGINGFACE / "vit", layers_per_unit=6 // num_units
  )
  assert network == expected[0]
  assert trees_equal(variables, expected[1])


def test_what_was_cut_can_be_cut_again():
  network, variables = load_network(REFERENCE / "vit")
  assert network.num_units == 4 and not network.units[-1].final_norm
  back = cut(*cut(network, variables, 8), 4)
  assert back[0] == network
  assert trees_equal(back[1], variables)


def test_units_that_do_not_come_out_are_refused():
  with pytest.raises(
    ValueError, match=r"vit: 6 layers .* 4 units; .* \[1, 2, 3, 6\]"
  ):
    load_network(HUGGINGFACE / "vit", num_units=4)
  with pytest.raises(ValueError, match=r"has 4 units.*a student of 4 units"):
    load_network(HUGGINGFACE / "resnet_basic", num_units=3)
  load_network(HUGGINGFACE / "resnet_basic", num_units=4)


def test_images_of_another_size():
  network, variables = load_network(
    HUGGINGFACE / "resnet_basic", input_shape=(48, 40, 3)
  )
  assert network.shapes()[0] == (12, 10, 16)
  assert network.logits(variables, jnp.zeros((1, 48, 40, 3))).shape == (1, 11)
  cases = [
    # As many patches in another shape: the positions would mean others.
    ("huggingface/vit", (16, 64, 3), r"vit: .*only images of \(32, 32, 3\)"),
    ("reference/lenet5", (36, 36, 3), "only images of .*resize the images"),
    ("huggingface/resnet_basic", (32, 32, 1), "images of 3 channels"),
    ("huggingface/resnet_basic", (32, 3), "images of 3 channels"),
    ("reference/vgg", (16, 16, 3), "image is too small"),
  ]
  for name, input_shape, message in cases:
    with pytest.raises(ValueError, match=message):
      load_network(FIXTURES / name, input_shape=input_shape)


def test_the_file_stands_for_its_directory():
  for directory in (HUGGINGFACE / "vit", REFERENCE / "vit"):
    assert recognise(directory / WEIGHTS) == recognise(directory)
  path = TORCHVISION / "timm_vit" / WEIGHTS
  assert recognise(path) == recognise(path.parent) == ("torchvision", path)


def test_a_directory_of_timm_has_a_config_of_its_own(tmp_path):
  source = TORCHVISION / "timm_resnet_basic"
  shutil.copy(source / WEIGHTS, tmp_path)
  config = {"architecture": "resnet18", "num_classes": 11}
  (tmp_path / "config.json").write_text(json.dumps(config))
  network, variables = load_network(tmp_path)
  expected = load_torchvision(source / WEIGHTS)
  assert network == expected[0] and trees_equal(variables, expected[1])


def test_options_of_another_format_are_refused():
  with pytest.raises(ValueError, match="leave heads out"):
    load_network(HUGGINGFACE / "vit", heads=4)
  with pytest.raises(ValueError, match="holds no ViT"):
    load_network(TORCHVISION / "timm_resnet_basic", heads=4)
  with pytest.raises(ValueError, match="pass heads="):
    load_network(TORCHVISION / "timm_vit")


@pytest.mark.parametrize(
  "files,path,message",
  [
    ({}, "nowhere", "nothing is downloaded.*transformers"),
    ({}, "", "holds no model.safetensors.*transformers"),
    ({"a.pth": ""}, "a.pth", "a pickle.*never opened.*save_file"),
    ({"a.pth.tar": ""}, "a.pth.tar", "a pickle.*never opened.*save_file"),
    ({"a.npz": ""}, "a.npz", "no format known.*transformers"),
    ({"a.pt": ""}, "", r"\['a.pt'\]; a pickle.*never opened.*save_file"),
    ({"a.safetensors": "", "b.safetensors": ""}, "", "give the path of one"),
    ({"config.json": {"model_type": "gpt2"}}, "", "'gpt2'; read here are"),
    ({"config.json": {}}, "", "model_type None; read here are"),
    (
      {"config.json": {"model_type": "block_vit"}, WEIGHTS: ""},
      "",
      "the directory of the whole swap network",
    ),
    (
      {"config.json": {"model_type": "vit"}, "pytorch_model.bin": ""},
      "",
      "never opened.*AutoModelForImageClassification",
    ),
    (
      {"config.json": {"model_type": "vit"}, f"{WEIGHTS}.index.json": {}},
      "",
      "in several files.*max_shard_size",
    ),
  ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(
  tmp_path, files, path, message
):
  for name, content in files.items():
    (tmp_path / name).write_text(json.dumps(content) if content != "" else "")
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    load_network(tmp_path / path)
  assert str(tmp_path / path) in str(error.value)


def test_a_pickle_is_refused_before_anything_is_read(tmp_path):
  """Even where its bytes are a good file of safetensors."""
  path = tmp_path / "resnet.pth"
  shutil.copy(TORCHVISION / "timm_resnet_basic" / WEIGHTS, path)
  with pytest.raises(ValueError, match="never opened"):
    load_network(path)


def test_parameters_are_float32_whatever_is_computed_in():
  network, variables = load_network(HUGGINGFACE / "vit", dtype=jnp.bfloat16)
  feature = network.apply(variables, jnp.zeros((1, 32, 32, 3))).features[0]
  assert feature.dtype == jnp.bfloat16
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
    np.dtype("float32")
  }
  assert count_parameters(variables) == count_parameters(
    network.abstract_variables()
  )
