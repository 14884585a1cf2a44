"""Sets of texts and of sounds, brought into the form that training reads.

Texts become tokens by a tokeniser that is learnt from the training split (and
held-out examples are no part of what it learns from); sounds are cut or filled
up to one length.
"""

import numpy as np

from pwl_jax.bundle.inputs import SoundInput, TextInput
from pwl_jax.data.dataset import Dataset, Split, make_dataset
from pwl_jax.data.prepared import import_tfds, open_builder
from pwl_jax.data.strings import Strings
from pwl_jax.data.tokens import Tokenizer, train_tokenizer
from pwl_jax.data.waves import Waves


def of_tfds(name: str, data_dir: str | None) -> str:
  """What a set has for its examples: "images", "texts" or "sounds"."""
  builder = open_builder(name, data_dir)
  features = import_tfds().features
  found = [type(feature) for feature in builder.info.features.values()]
  if any(issubclass(kind, features.Image) for kind in found):
    return "images"
  if "audio" in builder.info.features:  # Beside the names of its files.
    return "sounds"
  texts = any(issubclass(kind, features.Text) for kind in found)
  return "texts" if texts else "images"


def text_dataset(
  name: str,
  strings: Strings,
  *,
  length: int,
  vocabulary: int,
  tokenizer: str = "",
  valid_share: float = 0.1,
) -> Dataset:
  """Tokens of texts.

  Args:
    name: of the set.
    strings: its texts.
    length: tokens of one text; longer ones are cut.
    vocabulary: at most so many different tokens are learnt.
    tokenizer: of a tokenizer.json; learnt if it is empty.
    valid_share: part of the training split that is held out.
  """
  train, test = strings.train, strings.test
  if not tokenizer:
    learnt = _trained_on(name, train.examples, valid_share)
    tokenizer = train_tokenizer(learnt, vocab_size=vocabulary)
  encode = Tokenizer(tokenizer, length).encode
  return make_dataset(
    name,
    Split(encode(train.examples), train.labels),
    Split(encode(test.examples), test.labels),
    class_names=strings.class_names,
    valid_share=valid_share,
    input=TextInput(length, tokenizer),
    test_texts=test.examples,
  )


def _trained_on(name: str, texts: list[str], valid_share: float) -> list[str]:
  """Those that will not be held out, which depends on their number alone."""
  places = Split(
    np.arange(len(texts), dtype=np.int32)[:, None],
    np.zeros(len(texts), np.int32),
  )
  held = make_dataset(
    name, places, places, valid_share=valid_share, input=TextInput(1, "")
  )
  return [texts[i] for i in held.train.inputs[:, 0]]


def sound_dataset(
  name: str, waves: Waves, *, valid_share: float = 0.1
) -> Dataset:
  """Samples of sounds."""
  return make_dataset(
    name,
    Split(waves.train.examples, waves.train.labels),
    Split(waves.test.examples, waves.test.labels),
    class_names=waves.class_names,
    valid_share=valid_share,
    input=SoundInput(waves.train.examples.shape[1], waves.sample_rate),
  )
