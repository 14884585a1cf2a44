"""What docs/from_pytorch.md says that goes wrong does, in the same words."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from pwl_jax import models, stages
from pwl_jax.interop import load_network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.interruption import Request
from tests.checkpoints import FIXTURES, change_config, changed
from tests.tiny_config import get_config

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "from_pytorch.md"
VIT, RESNET, BERT = (
  FIXTURES / "huggingface" / name for name in ("vit", "resnet_basic", "bert")
)
TIMM = FIXTURES / "torchvision"
WEIGHTS = "model.safetensors"


def quoted():
  section = PAGE.read_text().partition("## What goes wrong")[2]
  return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def edited(source, change):
  """mistake(tmp_path): reads a checkpoint whose tensors were changed."""
  return lambda tmp_path: load_network(changed(source, tmp_path, change))


def with_config(source, **fields):
  def mistake(tmp_path):
    directory = changed(source, tmp_path, lambda tensors: None)
    change_config(directory, **fields)
    load_network(directory)

  return mistake


def read(path, **options):
  return lambda tmp_path: load_network(path, **options)


def lying_there(*names):
  """mistake(tmp_path): reads the first of empty files, or their folder."""

  def mistake(tmp_path):
    for name in names:
      (tmp_path / name).write_text('{"model_type": "vit"}')
    load_network(tmp_path if len(names) > 1 else tmp_path / names[0])

  return mistake


def prefixed(tensors):
  for name in list(tensors):
    tensors[f"module.{name}"] = tensors.pop(name)


def without_head(tensors):
  del tensors["fc.weight"], tensors["fc.bias"]


def not_a_number(tensors):
  tensors["classifier.bias"] = tensors["classifier.bias"] * np.nan


def other_student(tmp_path):
  teacher, _ = load_network(VIT, num_units=3)
  SwapNet.create(teacher, models.create("small_vit", "student"))


def channels_first(tmp_path):
  network, variables = load_network(VIT)
  network.logits(variables, jnp.zeros((1, 3, 32, 32)))


def in_a_run(tmp_path, data, preset, path):
  config = get_config()
  config.data.name, config.model.preset = data, preset
  config.imported.update(path=str(path), trains="nothing")
  stages.make_context(config, tmp_path, Console(quiet=True), Request())


def of_other_classes(tmp_path):
  lenet = FIXTURES / "reference" / "lenet5"
  in_a_run(tmp_path, "synthetic:60x32x32x3/3", "lenet5", lenet)


def without_tokeniser(tmp_path):
  texts = np.array(["a fine film", "a dull one"] * 30)
  np.savez(tmp_path / "few.npz", x=texts, y=np.arange(60) % 2)
  in_a_run(tmp_path, f"arrays:{tmp_path / 'few.npz'}", "tiny_text", BERT)


MISTAKES = {
  "does not exist; nothing is downloaded": read("microsoft/resnet-50"),
  "is a pickle, which can run any code": lying_there("resnet50.pth"),
  "its weights are in several files": lying_there(
    "config.json", f"{WEIGHTS}.index.json"
  ),
  "has model_type 'convnext'": with_config(VIT, model_type="convnext"),
  "architectures is ['BertModel']": with_config(
    BERT, architectures=["BertModel"]
  ),
  "in teacher_config/": read(FIXTURES / "reference/vit/teacher_config"),
  "holds none of the tensors that tell its kind": edited(
    TIMM / "timm_resnet_basic", prefixed
  ),
  "Only the plain form of a network is read": edited(
    TIMM / "timm_resnet_basic", without_head
  ),
  "expected [11], found no such tensor": edited(
    VIT, lambda tensors: tensors.pop("classifier.bias")
  ),
  "not expected, found [3, 4]": edited(
    VIT, lambda tensors: tensors.update({"lora.weight": np.zeros((3, 4))})
  ),
  "expected finite numbers": edited(VIT, not_a_number),
  "do not divide evenly over 4 units": read(VIT, num_units=4),
  "and cannot be cut into 3": read(RESNET, num_units=3),
  "agree in the feature shape at boundary 0": other_student,
  "takes only images of (32, 32, 3)": read(VIT, input_shape=(64, 64, 3)),
  "takes images of 3 channels": read(RESNET, input_shape=(32, 32, 1)),
  "pass heads=": read(TIMM / "timm_vit"),
  "a batch with the channels last": channels_first,
  "its head is new": of_other_classes,
  "has no tokeniser beside it": without_tokeniser,
}


def test_every_mistake_of_the_page_is_made_here():
  assert quoted() == list(MISTAKES)


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_ends_in_the_words_of_the_page(tmp_path, words):
  with pytest.raises((ValueError, FileNotFoundError)) as error:
    MISTAKES[words](tmp_path)
  assert words in str(error.value)
