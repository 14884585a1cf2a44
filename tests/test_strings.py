"""Sets of strings: which texts, which splits, and what is said of others."""

import pathlib

import numpy as np
import pytest

from pwl_jax.data.strings import load_string_arrays, load_strings
from tests.toy_texts_and_waves import TEXT, label, write_set

REAL = pathlib.Path(__file__).parents[2] / "shared" / "tfds"
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
  texts = np.array(["a fine film", "", "ein schöner Film", "no", "so"])
  y = np.array([0, 1, 2, 1, 0])
  path = saved(tmp_path / "a.npz", x=texts, y=y, x_test=texts[:1], y_test=y[:1])
  found = load_string_arrays(path)
  assert found.train.examples == texts.tolist()
  assert {type(text) for text in found.train.examples} == {str}
  assert found.train.labels.tolist() == y.tolist()
  assert found.test.examples == ["a fine film"]
  assert found.class_names == ("0", "1", "2")
  found = load_string_arrays(saved(tmp_path / "b.npz", x=texts, y=y))
  assert (len(found.train.labels), len(found.test.labels)) == (4, 1)


TEXTS, LABELS = np.array(["a", "b"]), np.array([0, 1])


@pytest.mark.parametrize(
  "arrays,message",
  [
    (dict(x=TEXTS), "lacks .'y'"),
    (dict(x=TEXTS, y=LABELS, x_test=TEXTS), "lacks .'y_test'"),
    (dict(x=TEXTS.astype(object), y=LABELS), "numpy.array.texts."),
    (dict(x=np.zeros((2, 3)), y=LABELS), r"float64 \[2, 3\], and not a row"),
    (dict(x=TEXTS[:0], y=LABELS[:0]), r"\[0\], and not a row"),
    (dict(x=TEXTS, y=LABELS[:1]), r"2 texts need as many.*int64 \[1\]"),
    (dict(x=TEXTS, y=LABELS / 2), "need as many whole numbers"),
    (dict(x=TEXTS, y=LABELS * 2), "from 0 to 2.*0 to 1.*without gaps"),
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
  with pytest.raises(ValueError, match=f"a.npz.*{message}"):
    load_string_arrays(path)


def test_files_that_are_no_npz_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="is no file"):
    load_string_arrays(tmp_path / "a.npz")
  np.save(tmp_path / "single.npy", LABELS)
  (tmp_path / "text.npz").write_text("no arrays")
  (tmp_path / "empty.npz").write_bytes(b"")
  for name in ("single.npy", "text.npz", "empty.npz"):
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
      load_string_arrays(tmp_path / name)


@pytest.mark.skipif(not REAL.exists(), reason=f"needs real data in {REAL}")
def test_the_real_sst2_and_ag_news():
  sst2 = load_strings("glue/sst2", data_dir=str(REAL))
  sizes = [len(part.labels) for part in sst2[:2]]
  assert sizes == [67349, 872]
  assert sst2.class_names == ("negative", "positive")
  assert sst2.test.examples[0].startswith("a valueless kiddie paean")
  assert (sst2.test.labels[0], set(sst2.test.labels)) == (0, {0, 1})
  news = load_strings("ag_news_subset", data_dir=str(REAL), train_split="test")
  assert len(news.train.labels) + len(news.test.labels) == 7600
  assert news.class_names[news.train.labels[0]] == "Sports"
  assert news.train.examples[0].startswith("Carolina's Davis Done for")
