"""Strings to token ids: a byte-pair encoding learnt from the training texts.

  text = train_tokenizer(texts, vocab_size=8000)  # Of a tokenizer.json.
  tokenizer = Tokenizer(text, max_length=64)
  ids = tokenizer.encode(["a fine film"])  # int32[1, 64]

Words and punctuation marks are cut apart, in lower case, each with a mark in
front of it, so that "film." and "film ." are the same tokens. Every string
has an answer: characters that training did not see are [UNK], several in a
row are one; an empty string is [CLS] alone; what is too long is cut off; the
name of a special token in a string is ordinary text.
"""

import collections
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from pwl_jax.method.checks import check_range

PAD, UNKNOWN, START = "[PAD]", "[UNK]", "[CLS]"
SPECIAL = (PAD, UNKNOWN, START)  # Their ids are their places.
WORD = "\u2581"  # In front of every word.
MAX_CHARACTERS = 1000  # Rarer ones are unknown.
MIN_VOCAB_SIZE = 2 * (len(SPECIAL) + 1)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> str:
  """The text of a tokenizer.json; the same texts give the same one.

  The vocabulary has at most `vocab_size` entries, and fewer where the texts
  have not enough pairs that occur twice.
  """
  check_range("vocab_size", vocab_size, MIN_VOCAB_SIZE)
  texts = _clean(texts)
  tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
  tokenizer.normalizer = normalizers.Sequence(
    [normalizers.NFKC(), normalizers.Lowercase()]
  )
  tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [
      pre_tokenizers.WhitespaceSplit(),
      pre_tokenizers.Punctuation(),
      pre_tokenizers.Metaspace(replacement=WORD, prepend_scheme="always"),
    ]
  )
  # At most half of the vocabulary, so that there is room for longer tokens.
  room = min(MAX_CHARACTERS, (vocab_size - len(SPECIAL)) // 2)
  alphabet = _common_characters(texts, tokenizer.normalizer, room)
  trainer = trainers.BpeTrainer(
    vocab_size=vocab_size,
    min_frequency=2,
    special_tokens=list(SPECIAL),
    initial_alphabet=alphabet,
    limit_alphabet=len(alphabet),
    show_progress=False,
  )
  tokenizer.train_from_iterator(texts, trainer)
  start = SPECIAL.index(START)
  tokenizer.post_processor = processors.TemplateProcessing(
    single=f"{START} $A", special_tokens=[(START, start)]
  )
  return tokenizer.to_str()


def _common_characters(texts: list[str], normalizer, room: int) -> list[str]:
  """The library's own choice among equally common ones may differ by run."""
  counts = collections.Counter(
    itertools.chain.from_iterable(map(normalizer.normalize_str, texts))
  )
  known = sorted(
    (c for c in counts if not c.isspace() and c != WORD),
    key=lambda c: (-counts[c], c),
  )
  if not known:
    raise ValueError(
      f"{len(texts)} texts without a character give no tokenizer; give the "
      "texts of the training split"
    )
  return [WORD, *known[: room - 1]]


class Tokenizer:
  """Encodes strings by the text of a tokenizer.json.

  That of `train_tokenizer`, or any other whose [PAD] is number 0 and that
  starts a text with [CLS], such as BERT's.
  """

  def __init__(self, text: str, max_length: int):
    check_range("max_length", max_length, 2)
    try:
      tokenizer = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # The library raises nothing narrower.
      raise ValueError(
        f"this is not the text of a tokenizer.json: {error}"
      ) from error
    tokenizer.no_padding()
    start = tokenizer.token_to_id(START)
    empty = tokenizer.encode("").ids
    if tokenizer.token_to_id(PAD) != 0 or not empty or empty[0] != start:
      raise ValueError(
        f"the tokenizer numbers {PAD} as {tokenizer.token_to_id(PAD)} and "
        f"makes {empty} of an empty text, where {START} is {start}; it has to "
        f"number {PAD} as 0 and to start every text with {START}, as one of "
        "train_tokenizer does"
      )
    tokenizer.enable_truncation(max_length)
    tokenizer.encode_special_tokens = True  # As the ordinary text they are.
    self._tokenizer = tokenizer
    self.max_length = max_length

  @property
  def vocab_size(self) -> int:
    """One more than the highest number; some of those below may be free."""
    return max(self._tokenizer.get_vocab().values()) + 1

  def encode(self, texts: Sequence[str]) -> np.ndarray:
    """n strings -> int32[n, max_length], with 0 behind the last token."""
    encoded = self._tokenizer.encode_batch(_clean(texts))
    ids = np.zeros((len(encoded), self.max_length), np.int32)
    for row, one in zip(ids, encoded, strict=True):
      row[: len(one.ids)] = one.ids
    return ids


def _clean(texts: Iterable[str]) -> list[str]:
  """The texts as str; halves of a surrogate pair, which no text has, as ?."""
  if isinstance(texts, str):
    raise ValueError(f"give a list of texts, got one text, {texts[:40]!r}")
  texts = list(texts)
  for i, text in enumerate(texts):
    if not isinstance(text, str):
      raise ValueError(
        f"text {i} is a {type(text).__name__}, {str(text)[:40]!r}; every one "
        "has to be a str"
      )
  return [text.encode("utf-8", "replace").decode() for text in texts]
