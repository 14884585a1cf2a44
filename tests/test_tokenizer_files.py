"""Tokenisers that exist: where they are looked for, and what they do."""

import json

import pytest

from pwl_jax.bundle.inputs import TextInput
from pwl_jax.data.tokenizer_files import keep_tokenizer, read_tokenizer
from pwl_jax.data.tokens import Tokenizer, train_tokenizer
from pwl_jax.teachers import tokenizer_for
from pwl_jax.training import artefacts

TEXTS = ["a fine film", "a dull film", "fine, fine"]
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "fine", "film", "##s", ".")


@pytest.fixture(scope="module")
def learnt():
  return train_tokenizer(TEXTS, vocab_size=40)


def vocabulary(folder, *, lowercase):
  folder.mkdir()
  (folder / "vocab.txt").write_text("\n".join(BERT) + "\n")
  options = {"do_lower_case": lowercase}
  (folder / "tokenizer_config.json").write_text(json.dumps(options))
  return folder


def test_what_a_run_leaves_is_what_another_one_reads(tmp_path, learnt):
  keep_tokenizer(tmp_path, TextInput(8, learnt))
  for path in (tmp_path, tmp_path / "tokenizer.json"):
    assert read_tokenizer(path) == learnt
  teacher = tmp_path / "teacher"
  teacher.mkdir()
  assert tokenizer_for("", str(teacher)) == ""  # Of something else.
  for name in (artefacts.RESULT, artefacts.VARIABLES):
    (teacher / name).touch()
  assert tokenizer_for("", str(teacher)) == learnt


def test_one_that_is_named_comes_before_that_of_the_teacher(tmp_path, learnt):
  (tmp_path / "mine").mkdir()
  keep_tokenizer(tmp_path / "mine", TextInput(8, learnt))
  bert = vocabulary(tmp_path / "bert", lowercase=True)
  assert tokenizer_for(str(tmp_path / "mine"), str(bert)) == learnt
  assert tokenizer_for("", str(bert)) == read_tokenizer(bert)
  assert tokenizer_for("", "") == tokenizer_for("", str(tmp_path)) == ""


@pytest.mark.parametrize("lowercase,first", [(True, 5), (False, 1)])
def test_the_words_of_bert(tmp_path, lowercase, first):
  text = read_tokenizer(vocabulary(tmp_path / "bert", lowercase=lowercase))
  found = Tokenizer(text, 6).encode(["Fine films.", "", "a a a a a a a a"])
  assert found.tolist() == [
    [2, first, 6, 7, 8, 3],
    [2, 3, 0, 0, 0, 0],
    [2, 4, 4, 4, 4, 3],  # Cut in front of [SEP].
  ]


def test_numbers_may_have_gaps(tmp_path):
  """A token that is written twice has the last of its numbers."""
  (tmp_path / "vocab.txt").write_text("\n".join([*BERT, "a", "fine"]))
  tokenizer = Tokenizer(read_tokenizer(tmp_path), 6)
  assert tokenizer.vocab_size == len(BERT) + 2
  assert tokenizer.encode(["fine"]).max() < tokenizer.vocab_size


def test_files_that_are_none_say_what_to_give(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"holds \[\]; give a tokenizer"):
    read_tokenizer(tmp_path)
  with pytest.raises(FileNotFoundError, match="does not exist; give a tok"):
    read_tokenizer(tmp_path / "tokenizer.json")
  for name, content in (
    ("tokenizer.json", "{"),
    ("tokenizer.json", '{"model": 3}'),
    ("vocab.txt", "a\nb\n"),  # Without the marks that BERT has.
  ):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match="cannot be read as a tokenizer"):
      read_tokenizer(tmp_path / name)
