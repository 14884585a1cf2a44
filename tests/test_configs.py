"""Every config builds, names only fields that exist, and trains every stage."""

import importlib
import pathlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from pwl_jax import stages, trained
from pwl_jax.bundle import manifest as manifests
from pwl_jax.training.artefacts import load_result
from pwl_jax.training.interruption import Request
from tests.toy_sets import write_set

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"
ARGUMENTS = {
  "digits": [()],
  "imagenet": [("resnet",), ("vit",)],
  "text": [("small",), ("full",), ()],
  "audio": [("small",), ("full",), ()],
  "cifar": [
    ("vgg,cifar10",),
    ("resnet,cifar100",),
    ("vit,cifar10",),
    ("lenet5,cifar10",),
    ("vgg,cifar10,small",),
    ("vit,cifar100,small",),
    ("lenet5,cifar10,small",),
    ("resnet,cifar100,small",),
  ],
}
CASES = [
  (name, args) for name, all_args in ARGUMENTS.items() for args in all_args
]
# What stands in for the networks of a preset, and the side of its images, the
# tokens of its texts, the samples of its sounds.
TINY = {
  "digits_resnet": ("tiny_resnet", 16),
  "vgg": ("tiny_vgg", 16),
  "vit_cifar": ("tiny_vit", 16),
  "resnet50_resnet18": ("tiny_resnet", 16),
  "vit_small_tiny": ("tiny_vit", 16),
  "small_text": ("tiny_text", 12),
  "small_audio": ("tiny_audio", 2000),
}


def write_texts(path, count):
  texts = ["a fine film", "a dull one"] * (count // 2)
  np.savez(path, x=np.array(texts), y=np.arange(count) % 2)
  return path


def write_sounds(path, count, *, samples=8000):
  rng = np.random.default_rng(0)
  sounds = rng.integers(-999, 999, (count, samples), np.int16)
  np.savez(path, x=sounds, y=np.arange(count) % 2, sample_rate=8000)
  return path


KINDS = {"text": write_texts, "audio": write_sounds}


def test_every_config_is_tried():
  names = {path.stem for path in CONFIGS.glob("*.py")}
  assert names == set(ARGUMENTS)


def load(name, arguments):
  return importlib.import_module(f"configs.{name}").get_config(*arguments)


@pytest.mark.parametrize("name,arguments", CASES)
def test_a_config_builds_and_is_locked(tmp_path, name, arguments):
  module = importlib.import_module(f"configs.{name}")
  assert f"--config=configs/{name}.py" in module.__doc__
  config = module.get_config(*arguments)
  assert isinstance(config, ConfigDict) and config.is_locked
  with pytest.raises((AttributeError, KeyError)):
    config.distill.epoch = 3
  classes = 10
  if name in KINDS:
    config.data.name = f"arrays:{KINDS[name](tmp_path / 'few.npz', 60)}"
    classes = 2
  elif name != "digits":  # The data itself may not be there.
    classes, side = (100, 32) if "cifar100" in str(arguments) else (10, 32)
    if name == "imagenet":
      classes, side = 1000, config.data.image_size
      config.data.image_size = 0
    config.data.name = f"synthetic:200x{side}x{side}x3/{classes}"
  context = stages.make_context(config, tmp_path, Console(), Request())
  assert context.swapnet.teacher.num_classes == classes


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  """Images of several sizes, as those of ImageNet."""
  folder = tmp_path_factory.mktemp("photographs")
  rng = np.random.default_rng(0)
  splits = {
    split: (
      [
        rng.integers(0, 256, (*rng.integers(16, 25, 2), 3), np.uint8)
        for _ in range(count)
      ],
      [i % 3 for i in range(count)],
    )
    for split, count in (("train", 40), ("validation", 10))
  }
  write_set(folder, splits, shape=(None, None, 3))
  return folder


@pytest.mark.parametrize(
  "name,arguments",
  [
    ("digits", ()),
    ("cifar", ("vgg,cifar10",)),
    ("cifar", ("vit,cifar10",)),
    ("imagenet", ("resnet",)),
    ("imagenet", ("vit",)),
    ("text", ("small",)),
    ("audio", ("small",)),
  ],
)
def test_two_steps_of_every_stage(
  tmp_path, monkeypatch, photographs, name, arguments
):
  """With the recipes as they are, but for how long and on what."""
  one = jax.devices()[:1]  # Compiling for several takes several times as long.
  monkeypatch.setattr(jax, "devices", lambda: one)
  config = load(name, arguments)
  config.model.preset, side = TINY[config.model.preset]
  config.data.name = f"synthetic:40x{side}x{side}x3/3"
  if name == "imagenet":
    config.data.name = "tfds:toy:1.0.0"
    config.data.update(
      data_dir=str(photographs), image_size=side, workers=0, valid_share=0.2
    )
  if name in KINDS:
    config.data.name = f"arrays:{KINDS[name](tmp_path / 'few.npz', 60)}"
    config.data.update(tokens=side, seconds=side / 8000)
  config.evaluation_batch = 16
  for section in ("teacher", "student", "distill"):
    recipe = config[section]
    recipe.update(epochs=1, batch_size=16)
    recipe.warmup_epochs = min(recipe.warmup_epochs, 0.5)
  stages.run(config, tmp_path)
  for stage in trained.TRAININGS:
    assert load_result(tmp_path / stage)["steps"] == 2
  input = manifests.read(tmp_path / "bundle").input
  if name in KINDS:
    assert input.shape == (side,)
  else:
    assert input.resize == ("centre" if name == "imagenet" else "exact")


@pytest.mark.parametrize(
  "name,argument,message",
  [
    ("cifar", "resnet", "FAMILY,DATA"),
    ("cifar", "resnet,cifar", "FAMILY,DATA"),
    ("cifar", "resnet,cifar10,tiny", "FAMILY,DATA"),
    ("cifar", "resnt,cifar10", "no family 'resnt'"),
    ("imagenet", "vgg", "resnet, vit"),
    ("text", "tiny", "small or full"),
    ("audio", "tiny", "small or full"),
  ],
)
def test_arguments_that_are_none_are_refused(name, argument, message):
  with pytest.raises(ValueError, match=message):
    load(name, (argument,))
