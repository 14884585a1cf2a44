"""Networks of other inputs than images, served from a bundle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.inputs import SoundInput, TextInput
from pwl_jax.bundle.parts import Composition
from pwl_jax.bundle.verify import verify
from pwl_jax.bundle.write import write_bundle
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.data.tokens import Tokenizer, train_tokenizer
from pwl_jax.evaluation.improvements import NOTHING
from pwl_jax.method import composition as compositions
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.runtime import errors, open_model
from tests.cases import Case, assert_close

TEXTS = [
  "a fine film",
  "a film of no charm at all",
  "fine, fine",
  "",
  "ünïcode!",
]


@pytest.fixture(scope="module")
def case():
  return Case(SwapNet.create(*models.create_pair("tiny_text")))


@pytest.fixture(scope="module")
def tokenizer():
  return train_tokenizer(TEXTS[:3] * 3, vocab_size=50)


def write(directory, case, input, **options):
  words = compositions.every(case.swapnet.num_units)
  return write_bundle(
    directory,
    **dict(
      swapnet=case.swapnet,
      variables=case.variables,
      improvements=NOTHING,
      input=input,
      class_names=(),
      compositions={
        word: Composition(0, word.count("T") / 3, None, False) for word in words
      },
      ladder=compositions.prefix(case.swapnet.num_units),
      config={},
      store="safetensors",
      platforms=("cpu",),
    )
    | options,
  )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, case, tokenizer):
  directory = tmp_path_factory.mktemp("texts") / "bundle"
  write(directory, case, TextInput(12, tokenizer))
  return directory


def test_what_a_bundle_says_of_texts(bundle, tokenizer):
  assert verify(bundle) == []
  assert manifests.read(bundle).input == TextInput(12, tokenizer)


def test_every_composition_answers_texts(bundle, case, tokenizer, tmp_path):
  """As the network does whose tokens they are; the empty one too."""
  ids = Tokenizer(tokenizer, 12).encode(TEXTS)
  with open_model(bundle, cache_dir=tmp_path / "programs") as model:
    for word in compositions.every(3):
      model.upgrade(to=word).wait()
      golden = case.logits(case.variables, jnp.asarray(ids), word)
      assert_close(model(TEXTS), golden, 1e-4)
      assert_close(model(ids), golden, 1e-4)
    assert model([]).shape == (0, 2)


@pytest.mark.parametrize(
  "texts,message",
  [
    ("a film", "is one text; give a list"),
    (np.float32(3), "give whole numbers"),
    (None, "None is no text"),
    (np.array([["a film", "another"]]), r"\['a film', 'another'\] is no text"),
    (np.full((1, 12), 50, np.int64), "from 0 to 50, .* knows 0 to"),
    (np.full((1, 12), 2**32, np.int64), "from 0 to 4294967296"),
    (np.full((1, 12), -1), "go from -1 to 0"),
    (["a film", 7], "7 is no text"),
    (np.zeros((2, 5), np.int32), r"whole numbers, \[b, 12\]"),
  ],
)
def test_what_is_no_text_is_refused(bundle, tmp_path, texts, message):
  model = open_model(bundle, cache_dir=tmp_path / "programs")
  with model, pytest.raises(ValueError, match=message):
    model(texts)


def test_a_damaged_unit_of_a_text_network_is_named(bundle, tmp_path):
  moved = tmp_path / "bundle"
  moved.mkdir()
  for path in bundle.rglob("*"):
    copy = moved / path.relative_to(bundle)
    if path.is_dir():
      copy.mkdir(exist_ok=True)
    else:
      copy.parent.mkdir(exist_ok=True)
      copy.write_bytes(path.read_bytes())
  file = moved / "weights" / "teacher-unit1.safetensors"
  written = bytearray(file.read_bytes())
  written[-3] ^= 1
  file.write_bytes(written)
  with open_model(moved, cache_dir=tmp_path / "c", retries=0) as model:
    with pytest.raises(errors.LoadFailed, match="teacher/unit1"):
      model.upgrade().wait()
    assert model.composition == "TSS" and model(TEXTS).shape == (5, 2)


def test_networks_of_another_length_are_refused(tmp_path, case, tokenizer):
  with pytest.raises(ValueError, match=r"input is of \(9,\).*\(12,\)"):
    write(tmp_path / "bundle", case, TextInput(9, tokenizer))


def test_what_the_networks_do_not_know_is_refused(tmp_path, case):
  many = train_tokenizer([f"a{i} b{i}" for i in range(99)] * 2, vocab_size=80)
  with pytest.raises(ValueError, match="has 80 tokens, and a network knows 50"):
    write(tmp_path / "bundle", case, TextInput(12, many))
  sounds = SwapNet.create(*models.create_pair("tiny_audio"))
  with pytest.raises(ValueError, match=r"16000, .* of 8000 samples a second"):
    write(tmp_path / "bundle", Case(sounds), SoundInput(2000, 16000))
  assert not list(tmp_path.iterdir())


def test_noise_has_padding_behind_tokens(tokenizer):
  ids = noise(TextInput(12, tokenizer), 20)
  lengths = (ids != 0).sum(axis=1)
  assert len(set(lengths.tolist())) > 3 and lengths.min() >= 1
  for row, length in zip(ids, lengths, strict=True):
    assert not row[length:].any()


def test_sounds_are_brought_to_one():
  input = SoundInput(4, 8000)
  raw = np.array([[-(2**15), 0, 2**14, 2**15 - 1]], np.int16)
  found = jax.jit(lambda raw: to_network(raw, input))(raw)
  np.testing.assert_allclose(found, [[-1, 0, 0.5, 1 - 2**-15]])
