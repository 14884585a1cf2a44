"""Sets of strings: which texts, which splits, and what is said of others."""

import json

import numpy as np
import pytest

from pwl_jax.data.npz import read_npz
from pwl_jax.data.prepared import SPARE_FILES
from pwl_jax.data.sources import load_dataset
from pwl_jax.data.strings import load_strings, string_arrays
from pwl_jax.data.tokens import (
  PAD,
  SPECIAL,
  START,
  UNKNOWN,
  WORD,
  Tokenizer,
  train_tokenizer,
)
from tests import real_sets
from tests.toy_texts_and_waves import TEXT, label, write_set

FEATURES = {"sentence": TEXT, "label": label(2)}


def sentences(n, title="text"):
  return [{"sentence": f"{title} {i} é", "label": i % 2} for i in range(n)]


def load(data_dir, name="toy", **options):
  return load_strings(f"{name}:1.0.0", data_dir=str(data_dir), **options)


def test_texts_and_labels_are_those_of_the_files(tmp_path):
  splits = {"train": sentences(6), "test": sentences(3, "other")}
  write_set(tmp_path, splits, FEATURES)
  found = load(tmp_path)
  assert found.train.examples == [f"text {i} é" for i in range(6)]
  assert found.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
  assert found.train.labels.dtype == np.int32
  assert found.test.examples == [f"other {i} é" for i in range(3)]
  assert found.class_names == ("0", "1")


def test_files_of_large_sets_may_be_open_together(tmp_path):
  """As of sets of images: a process may have few open by default."""
  resource = pytest.importorskip("resource", reason="limits are those of Unix")
  before = resource.getrlimit(resource.RLIMIT_NOFILE)
  write_set(tmp_path, {"train": sentences(10)}, FEATURES)
  resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE_FILES - 1, before[1]))
  try:
    load(tmp_path)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
  finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
  assert allowed > SPARE_FILES


def test_a_test_split_without_labels_does_not_count(tmp_path):
  hidden = [row | {"label": -1} for row in sentences(5)]
  splits = {"train": sentences(6), "test": hidden}
  write_set(tmp_path / "a", splits | {"validation": sentences(3)}, FEATURES)
  assert len(load(tmp_path / "a").test.labels) == 3
  write_set(tmp_path / "b", splits, FEATURES)
  parts = load(tmp_path / "b")[:2]
  assert [len(part.labels) for part in parts] == [5, 1]
  write_set(tmp_path / "c", {"train": hidden}, FEATURES)
  with pytest.raises(ValueError, match="train split: it is empty, or hides"):
    load(tmp_path / "c")


def test_without_a_test_split_it_is_a_fifth_always_the_same(tmp_path):
  write_set(tmp_path, {"train": sentences(20)}, FEATURES)
  first, second = load(tmp_path), load(tmp_path)
  assert len(first.test.examples) == 4
  both = first.train.examples + first.test.examples
  assert sorted(both) == sorted(row["sentence"] for row in sentences(20))
  for part in first[:2]:  # Each text has kept its label.
    numbers = [int(text.split()[1]) % 2 for text in part.examples]
    assert numbers == part.labels.tolist()
  assert second.test.examples == first.test.examples


def test_another_split_to_train_on(tmp_path):
  write_set(tmp_path, {"test": sentences(10)}, FEATURES)
  with pytest.raises(ValueError, match=r"no train split, only \['test'\]"):
    load(tmp_path)
  found = load(tmp_path, train_split="test")
  assert (len(found.train.labels), len(found.test.labels)) == (8, 2)


@pytest.mark.parametrize(
  "name,inputs,fields,expected",
  [
    ("toy", "body", (), "b0"),
    ("toy", None, (), "b0 t0"),
    ("toy", "body", ("title", "body"), "t0 b0"),
  ],
)
def test_which_features_are_the_text(tmp_path, name, inputs, fields, expected):
  features = {"body": TEXT, "title": TEXT, "label": label(1)}
  rows = [{"body": f"b{i}", "title": f"t{i}", "label": 0} for i in range(5)]
  splits = {"train": rows, "test": rows}
  write_set(tmp_path, splits, features, name=name, inputs=inputs)
  found = load(tmp_path, name, fields=fields)
  assert found.train.examples[0] == expected
  with pytest.raises(
    ValueError, match=r"\['boddy'\].*only \['body', 'title'\]"
  ):
    load(tmp_path, name, fields=["boddy"])


@pytest.mark.parametrize(
  "bad,message",
  [
    ({"sentence": b"\xff", "label": 0}, "can't decode byte"),
    ({"sentence": "a", "label": 2}, "labels go from 2 to 2"),
    ({"label": 1}, "not enough values"),
  ],
)
def test_a_record_that_will_not_do_is_named(tmp_path, bad, message):
  rows = sentences(5)
  write_set(tmp_path, {"train": [*rows[:3], bad, *rows]}, FEATURES)
  with pytest.raises(
    ValueError, match=f"toy, train split: record 3.*{message}"
  ):
    load(tmp_path)


def test_a_set_needs_one_class_and_a_text(tmp_path):
  features = {"sentence": TEXT, "a": label(2), "b": label(2)}
  write_set(tmp_path / "a", {"train": []}, features)
  with pytest.raises(ValueError, match="2 classes per example"):
    load(tmp_path / "a")
  write_set(tmp_path / "b", {"train": []}, {"label": label(2)})
  with pytest.raises(ValueError, match=r"only \[\] are"):
    load(tmp_path / "b")


def saved(path, **arrays):
  np.savez(path, **arrays)
  return path


def test_arrays_of_strings(tmp_path):
  texts = np.array(["a fine film", "", "ein sch\u00f6ner Film", "no", "so"])
  y = np.array([0, 1, 2, 1, 0])
  path = saved(tmp_path / "a.npz", x=texts, y=y, x_test=texts[:1], y_test=y[:1])
  found = string_arrays(read_npz(path))
  assert found.train.examples == texts.tolist()
  assert {type(text) for text in found.train.examples} == {str}
  assert found.train.labels.tolist() == y.tolist()
  assert found.test.examples == ["a fine film"]
  found = string_arrays(read_npz(saved(tmp_path / "b.npz", x=texts, y=y)))
  assert (len(found.train.labels), len(found.test.labels)) == (4, 1)


def test_a_set_of_strings(tmp_path):
  path = saved(tmp_path / "a.npz", x=TEXTS, y=LABELS)
  dataset = load_dataset(f"arrays:{path}", tokens=5, vocabulary=20)
  assert dataset.class_names == ("0", "1")
  assert dataset.input.length == 5 and len(dataset.test_texts) == 4
  encode = Tokenizer(dataset.input.tokenizer, 5).encode
  np.testing.assert_array_equal(encode(dataset.test_texts), dataset.test.inputs)
  again = load_dataset(
    f"arrays:{path}", tokens=5, tokenizer=dataset.input.tokenizer
  )
  assert again.fingerprint == dataset.fingerprint
  other = load_dataset(f"arrays:{path}", tokens=5, vocabulary=10)
  assert other.fingerprint != dataset.fingerprint


TEXTS, LABELS = np.array(["aab", "bba"] * 10), np.array([0, 1] * 10)


@pytest.mark.parametrize(
  "arrays,message",
  [
    (dict(x=TEXTS), "a.npz lacks .'y'"),
    (dict(x=TEXTS, y=LABELS, x_test=TEXTS), "a.npz lacks .'y_test'"),
    (dict(x=TEXTS.astype(object), y=LABELS), "a.npz .*numpy.array.texts."),
    (dict(x=TEXTS[None], y=LABELS[:1]), r"a.npz: x is .*not a row"),
    (dict(x=TEXTS[:0], y=LABELS[:0]), r"\[0\], and not a row"),
    (dict(x=TEXTS, y=LABELS[:1]), r"20 examples need as many.*\[1\]"),
    (dict(x=TEXTS, y=LABELS / 2), "labels must be whole numbers"),
    (dict(x=TEXTS, y=LABELS * 2), "from 0 to 2.*without gaps"),
    (dict(x=TEXTS, y=LABELS - 1), "from -1 to 0"),
    (dict(x=TEXTS, y=LABELS + 2**40), "more than 32 bits"),
    (
      dict(x=TEXTS, y=LABELS, x_test=TEXTS, y_test=LABELS + 1),
      "from 1 to 2.*0 to 1",
    ),
  ],
)
def test_arrays_that_will_not_do_are_named(tmp_path, arrays, message):
  path = saved(tmp_path / "a.npz", **arrays)
  with pytest.raises(ValueError, match=message):
    load_dataset(f"arrays:{path}", vocabulary=20)


@real_sets.needs("glue/sst2")
def test_the_real_sst2():
  sst2 = load_strings("glue/sst2", data_dir=str(real_sets.WHERE))
  sizes = [len(part.labels) for part in sst2[:2]]
  assert sizes == [67349, 872]
  assert sst2.class_names == ("negative", "positive")
  assert sst2.test.examples[0].startswith("a valueless kiddie paean")
  assert sst2.test.labels[0] == 0
  for part in sst2[:2]:
    assert 0.4 < part.labels.mean() < 0.6 and set(part.labels) == {0, 1}


@real_sets.needs("glue/sst2")
def test_tokens_of_the_real_sst2_spell_its_texts():
  """What is learnt from training texts knows nearly all of the others."""
  sst2 = load_strings("glue/sst2", data_dir=str(real_sets.WHERE))
  text = train_tokenizer(sst2.train.examples[:10000], vocab_size=4000)
  names = {i: name for name, i in json.loads(text)["model"]["vocab"].items()}
  ids = Tokenizer(text, 64).encode(sst2.test.examples)
  assert (ids == SPECIAL.index(UNKNOWN)).sum() <= 1e-3 * (ids != 0).sum()
  spelt = 0
  for row, example in zip(ids.tolist(), sst2.test.examples, strict=True):
    tokens = [names[i] for i in row if names[i] not in (PAD, START)]
    letters = "".join(tokens).replace(WORD, "")
    spelt += letters == "".join(example.lower().split())
  assert spelt >= 0.99 * len(ids)


@real_sets.needs("ag_news_subset")
def test_the_real_ag_news_has_a_test_split_to_train_on():
  where = str(real_sets.WHERE)
  news = load_strings("ag_news_subset", data_dir=where, train_split="test")
  assert len(news.train.labels) + len(news.test.labels) == 7600
  assert news.class_names[news.train.labels[0]] == "Sports"
  assert news.train.examples[0].startswith("Carolina's Davis Done for")
