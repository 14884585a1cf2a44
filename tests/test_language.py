"""BERT and DistilBERT classifiers saved by transformers, as networks."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.interop import load_huggingface, load_network, with_classes
from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.language import build_text
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.text import text
from tests.cases import assert_close, trees_equal
from tests.checkpoints import FIXTURES, change_config, changed

SOURCE = FIXTURES / "huggingface"
LAYERS = {"bert": 4, "distilbert": 2}


def golden(name):
  with np.load(SOURCE / name / "golden.npz") as arrays:
    return {key: arrays[key] for key in arrays.files}


@pytest.mark.parametrize("name", LAYERS)
def test_logits_are_those_of_transformers(name):
  expected = golden(name)
  network, variables = load_huggingface(SOURCE / name)
  assert network.num_units == LAYERS[name]
  assert (network.input_shape, network.input_dtype) == ((24,), "int32")
  out = network.apply(variables, expected["x"])
  assert_close(out.logits, expected["logits"])
  assert not expected["attention_mask"].all()
  for feature in out.features:
    np.testing.assert_array_equal(feature.mask, expected["attention_mask"])


@pytest.mark.parametrize(
  "name,layers_per_unit",
  [("bert", 4), ("bert", 2), ("bert", (1, 3)), ("distilbert", 2)],
)
def test_a_language_model_is_cut_as_asked(name, layers_per_unit):
  expected = golden(name)
  network, variables = load_huggingface(
    SOURCE / name, layers_per_unit=layers_per_unit
  )
  assert network.num_units < LAYERS[name]
  assert_close(network.logits(variables, expected["x"]), expected["logits"])


@pytest.mark.parametrize("num_units", [1, 2, 4])
def test_a_path_is_enough(num_units):
  expected = load_huggingface(SOURCE / "bert", layers_per_unit=4 // num_units)
  network, variables = load_network(SOURCE / "bert", num_units=num_units)
  assert network == expected[0] and trees_equal(variables, expected[1])
  with pytest.raises(ValueError, match=r"bert: 4 layers .* over 3 units"):
    load_network(SOURCE / "bert", num_units=3)


def test_texts_may_be_shorter_than_the_positions():
  expected = golden("distilbert")
  network, variables = load_network(SOURCE / "distilbert", input_shape=(12,))
  assert network.shapes()[0] == (12, 16)
  assert_close(network.logits(variables, expected["x"]), expected["logits"])
  for input_shape in ((25,), (0,), (12, 3)):
    with pytest.raises(ValueError, match="up to 24 tokens"):
      load_network(SOURCE / "distilbert", input_shape=input_shape)


def test_a_student_of_another_width_fits_and_gets_the_classes():
  teacher, variables = load_network(
    SOURCE / "bert", num_units=2, input_shape=(12,)
  )
  teacher, variables, changed = with_classes(
    teacher, variables, 3, jax.random.key(0)
  )
  assert changed
  units = text(
    vocab_size=100,
    width=8,
    heads=2,
    mlp_width=8,
    num_layers=2,
    layers_per_unit=1,
    max_length=24,
    num_classes=3,
  )
  swapnet = SwapNet.create(teacher, Network(units, (12,), "int32"))
  whole = swapnet.init(jax.random.key(1), teacher=variables)
  ids = golden("bert")["x"]
  for word in ("TS", "ST"):
    logits = swapnet.logits(whole, ids, word)
    assert logits.shape == (4, 3) and jnp.isfinite(logits).all()


def test_the_preset_is_the_network_of_a_checkpoint_of_its_size(tmp_path):
  """A config as BERT's base size has it, against `bert_text`."""
  config = dict(
    model_type="bert",
    vocab_size=30522,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    hidden_act="gelu",
    max_position_embeddings=512,
    type_vocab_size=2,
  )
  (tmp_path / "config.json").write_text(json.dumps(config))
  found, _, _ = build_text(
    ForeignConfig(tmp_path / "config.json"),
    layers_per_unit=2,
    dtype=jnp.float32,
  )
  preset = models.create("bert_text", "teacher", input_shape=(512,))
  assert found.abstract_variables() == preset.abstract_variables()


def test_older_spellings_are_read(tmp_path):
  def rename(tensors):
    for name in list(tensors):
      older = name.replace("LayerNorm.weight", "LayerNorm.gamma")
      older = older.replace("LayerNorm.bias", "LayerNorm.beta")
      tensors[older] = tensors.pop(name)
    tensors["bert.embeddings.position_ids"] = np.arange(24)[None]
    assert "bert.embeddings.LayerNorm.gamma" in tensors

  directory = changed(SOURCE / "bert", tmp_path, rename)
  _, older = load_huggingface(directory)
  _, newer = load_huggingface(SOURCE / "bert")
  assert trees_equal(newer, older)


@pytest.mark.parametrize(
  "name,fields,message",
  [
    ("bert", {"position_embedding_type": "relative_key"}, "'relative_key'"),
    ("bert", {"is_decoder": True}, "is_decoder is true; only encoders"),
    ("bert", {"add_cross_attention": True}, "only encoders"),
    ("bert", {"hidden_act": "gelu_fast"}, "hidden_act 'gelu_fast'"),
    ("distilbert", {"activation": "gelu_fast"}, "activation 'gelu_fast'"),
    ("bert", {"pad_token_id": None}, "pad_token_id None"),
    ("bert", {"pad_token_id": 100}, "pad_id 100 is not in"),
    ("bert", {"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM.*only"),
    ("bert", {"problem_type": "regression"}, "'regression'; only classifiers"),
    ("distilbert", {"dim": ...}, "lacks 'dim'"),
    ("bert", {"num_attention_heads": 5}, "5 heads cannot share"),
    ("distilbert", {"n_layers": 3}, r"layer\.2\..*found no such tensor"),
    ("bert", {"vocab_size": 99}, r"expected \[99, 32\], found \[100, 32\]"),
  ],
)
def test_what_is_not_supported_is_refused(tmp_path, name, fields, message):
  directory = changed(SOURCE / name, tmp_path, lambda tensors: None)
  change_config(directory, **fields)
  with pytest.raises(ValueError, match=f"(?s){message}") as error:
    load_huggingface(directory)
  assert str(directory) in str(error.value)


def test_tensors_that_are_missing_or_left_over_are_named(tmp_path):
  def spoil(tensors):
    del tensors["pre_classifier.bias"]
    tensors["vocab_projector.bias"] = np.zeros(100, np.float32)

  directory = changed(SOURCE / "distilbert", tmp_path, spoil)
  with pytest.raises(ValueError) as error:
    load_huggingface(directory)
  for name in ("pre_classifier.bias: expected", "vocab_projector.bias: not"):
    assert name in str(error.value)


def test_weights_in_another_form_are_told_with_what_to_do(tmp_path):
  (tmp_path / "config.json").write_text('{"model_type": "distilbert"}')
  (tmp_path / "pytorch_model.bin").write_text("")
  with pytest.raises(
    FileNotFoundError, match="AutoModelForSequenceClassification"
  ):
    load_network(tmp_path)
