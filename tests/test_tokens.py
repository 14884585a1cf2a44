"""Tokenisers: every string has one answer, and the same one every time."""

import json

import numpy as np
import pytest
import tokenizers

from pwl_jax.data.tokens import SPECIAL, Tokenizer, train_tokenizer

TEXTS = [
  "a fine film .",
  "The film isn't fine, it is long",
  "a long, LONG film about nothing",
  "nothing fine about it .",
] * 2
TRAINED = train_tokenizer(TEXTS, vocab_size=80)
PAD, UNKNOWN, START = range(len(SPECIAL))


def words(texts, max_length=12):
  """The tokens of each text, without the padding."""
  known = {
    i: token for token, i in json.loads(TRAINED)["model"]["vocab"].items()
  }
  rows = Tokenizer(TRAINED, max_length).encode(texts)
  return [[known[i] for i in row if i != PAD] for row in rows.tolist()]


def test_the_same_texts_give_the_same_file():
  # Characters that are equally common, of which only some have room.
  rare = [chr(i) * 2 for i in range(0x4E00, 0x4E80)]
  first, *others = (
    train_tokenizer(TEXTS + rare, vocab_size=90) for _ in range(4)
  )
  assert all(other == first for other in others)
  assert train_tokenizer(TEXTS[:-1], vocab_size=80) != TRAINED


@pytest.mark.parametrize("vocab_size", [8, 20, 80])
def test_the_vocabulary_is_no_larger_than_asked(vocab_size):
  text = train_tokenizer(TEXTS, vocab_size=vocab_size)
  tokenizer = Tokenizer(text, 8)
  assert len(SPECIAL) < tokenizer.vocab_size <= vocab_size
  assert tokenizer.encode(TEXTS).max() < tokenizer.vocab_size
  assert json.loads(text)["model"]["vocab"].items() >= {
    (token, i) for i, token in enumerate(SPECIAL)
  }


def test_known_words_are_one_token_in_any_case_and_spacing():
  first, *others = words(["a fine film.", "A  FINE film .", "\ta fine\nfilm."])
  assert first == ["[CLS]", "▁a", "▁fine", "▁film", "▁."]
  assert others == [first, first]


def test_ids_start_with_cls_and_end_in_padding():
  ids = Tokenizer(TRAINED, 12).encode(TEXTS)
  assert ids.shape == (8, 12) and ids.dtype == np.int32
  assert (ids[:, 0] == START).all()
  lengths = (ids != PAD).sum(1)
  assert ((np.arange(12) < lengths[:, None]) == (ids != PAD)).all()


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_a_text_without_words_is_cls_alone(text):
  assert words([text]) == [["[CLS]"]]


def test_no_texts_are_no_rows():
  assert Tokenizer(TRAINED, 5).encode([]).shape == (0, 5)


def test_unknown_characters_are_one_unknown_token():
  expected = ["[CLS]", "▁", "[UNK]", "▁film"]
  assert words(["日本 film", "🎈🎈🎈 film"]) == [expected, expected]
  # Half of a surrogate pair is no character: as a question mark.
  assert words(["\ud800 film"]) == words(["? film"])


def test_what_is_too_long_is_cut():
  (whole,) = words(["a fine film about nothing . " * 2], max_length=20)
  (cut,) = words(["a fine film about nothing . " * 500], max_length=5)
  assert cut == whole[:5]


def test_special_tokens_cannot_be_written():
  ids = Tokenizer(TRAINED, 32).encode(["film [PAD] film [CLS] film"])[0]
  length = (ids != PAD).sum()
  assert (ids[:length] != PAD).all() and (ids == START).sum() == 1


def test_an_encoding_does_not_depend_on_its_neighbours():
  tokenizer = Tokenizer(TRAINED, 12)
  alone = [tokenizer.encode([text])[0] for text in TEXTS]
  assert (tokenizer.encode(TEXTS) == alone).all()


def test_a_tokenizer_of_another_kind_that_starts_with_cls_will_do():
  words = ("[PAD]", "film", "[UNK]", "[CLS]", "[SEP]")
  vocab = {word: i for i, word in enumerate(words)}
  other = tokenizers.Tokenizer(
    tokenizers.models.WordLevel(vocab, unk_token="[UNK]")
  )
  other.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
  text = other.to_str()
  with pytest.raises(ValueError, match=r"makes \[\] of an empty text"):
    Tokenizer(text, 4)
  other.post_processor = tokenizers.processors.BertProcessing(
    ("[SEP]", 4), ("[CLS]", 3)
  )
  encoded = Tokenizer(other.to_str(), 4).encode(["film " * 9, ""])
  assert encoded.tolist() == [[3, 1, 1, 4], [3, 4, 0, 0]]


@pytest.mark.parametrize(
  "call,message",
  [
    (lambda: train_tokenizer(TEXTS, vocab_size=4), "vocab_size is 4"),
    (lambda: train_tokenizer(["", " "], vocab_size=80), "without a character"),
    (lambda: train_tokenizer([b"film"], vocab_size=80), "text 0 is a bytes"),
    (lambda: Tokenizer("{}", 8), "not the text of a tokenizer.json"),
    (lambda: Tokenizer(TRAINED, 1), "max_length is 1"),
    (lambda: Tokenizer(TRAINED, 8).encode("film"), "a list of texts.*'film'"),
    (lambda: Tokenizer(TRAINED, 8).encode(["a", None]), "text 1 is a NoneType"),
  ],
)
def test_what_will_not_do_is_named(call, message):
  with pytest.raises(ValueError, match=message):
    call()
