"""Classifiers saved by transformers, in its older and newer spellings."""

import jax.numpy as jnp
import pytest

from pwl_jax.interop import load_huggingface
from tests.cases import assert_close, trees_equal
from tests.checkpoints import FIXTURES, Golden, change_config, changed

SOURCE = FIXTURES / "huggingface"
NEWER_NAMES = {  # Inside a layer of a ViT; longer names first.
  "vit.encoder.layer.": "vit.layers.",
  "attention.attention.query": "attention.q_proj",
  "attention.attention.key": "attention.k_proj",
  "attention.attention.value": "attention.v_proj",
  "attention.output.dense": "attention.o_proj",
  "intermediate.dense": "mlp.fc1",
  "output.dense": "mlp.fc2",
}


@pytest.mark.parametrize("name", ["resnet_basic", "resnet_bottleneck", "vit"])
def test_logits_are_those_of_transformers(name):
  network, variables = load_huggingface(SOURCE / name)
  golden = Golden(SOURCE / name)
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"])


@pytest.mark.parametrize("layers_per_unit", [3, (2, 4)])
def test_a_vit_is_cut_as_asked(layers_per_unit):
  golden = Golden(SOURCE / "vit")
  network, variables = load_huggingface(
    SOURCE / "vit", layers_per_unit=layers_per_unit
  )
  assert network.num_units == 2
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"])


def test_a_vit_in_the_newer_spelling(tmp_path):
  def rename(tensors):
    for old in list(tensors):
      new = old
      for a, b in NEWER_NAMES.items():
        new = new.replace(a, b)
      tensors[new] = tensors.pop(old)
    assert "vit.layers.0.attention.o_proj.weight" in tensors
    assert "vit.layers.0.mlp.fc2.bias" in tensors

  directory = changed(SOURCE / "vit", tmp_path, rename)
  _, newer = load_huggingface(directory)
  _, older = load_huggingface(SOURCE / "vit")
  assert trees_equal(newer, older)


def test_two_classes_are_what_a_config_leaves_out(tmp_path):
  def keep_two(tensors):
    for part in ("weight", "bias"):
      tensors[f"classifier.{part}"] = tensors[f"classifier.{part}"][:2]

  directory = changed(SOURCE / "vit", tmp_path, keep_two)
  change_config(directory, id2label=..., label2id=...)
  network, variables = load_huggingface(directory)
  golden = Golden(SOURCE / "vit")
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"][:, :2])


def test_bfloat16_computation_stays_near():
  network, variables = load_huggingface(SOURCE / "vit", dtype=jnp.bfloat16)
  golden = Golden(SOURCE / "vit")
  logits = network.logits(variables, golden.x)
  assert_close(logits, golden.arrays["logits"], 0.05)
