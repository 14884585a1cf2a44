"""TFDS sets of recordings: lengths, splits, and what is said of others."""

import pathlib

import numpy as np
import pytest

from pwl_jax.data import waves
from pwl_jax.data.waves import load_waves
from tests.toy_texts_and_waves import WAVE, label, write_set

REAL = pathlib.Path(__file__).parents[2] / "shared" / "tfds"
FEATURES = {"audio": WAVE, "label": label(2)}


def recording(audio, number=0, **others):
  return {"audio": audio, "label": number} | others


def recordings(n, seed=0):
  rng = np.random.default_rng(seed)
  return [
    recording(rng.integers(-99, 99, rng.integers(1, 20)).tolist(), i % 2)
    for i in range(n)
  ]


def load(data_dir, **options):
  options = dict(seconds=0.001, sample_rate=8000) | options
  return load_waves("toy:1.0.0", data_dir=str(data_dir), **options)


@pytest.mark.parametrize("inputs", [None, "audio"])
def test_recordings_are_padded_or_cropped_behind(tmp_path, inputs):
  rows = [[1, -2, 3], list(range(20)), [], [-32768, 32767]]
  splits = {
    "train": [recording(row, i % 2) for i, row in enumerate(rows)],
    "test": [recording([5], 1)],
  }
  write_set(tmp_path, splits, FEATURES, inputs=inputs)
  found = load(tmp_path)
  assert found.train.examples.dtype == np.int16
  assert found.train.examples.tolist() == [
    [1, -2, 3, 0, 0, 0, 0, 0],
    [0, 1, 2, 3, 4, 5, 6, 7],
    [0] * 8,
    [-32768, 32767, 0, 0, 0, 0, 0, 0],
  ]
  assert found.train.labels.tolist() == [0, 1, 0, 1]
  assert found.train.labels.dtype == np.int32
  assert found.test.examples.tolist() == [[5, 0, 0, 0, 0, 0, 0, 0]]
  assert found.class_names == ("0", "1") and found.sample_rate == 8000


def named(titles):
  """Recordings whose sample is their place."""
  return [
    recording([i], 0, **{"audio/filename": title})
    for i, title in enumerate(titles)
  ]


def test_the_first_five_takes_are_the_test_split(tmp_path):
  takes = [(speaker, take) for take in (11, 4, 5, 0) for speaker in "ab"]
  rows = named(f"7_{speaker}_{take}.wav" for speaker, take in takes)
  write_set(tmp_path, {"train": rows}, FEATURES)
  found = load(tmp_path)
  assert found.test.examples[:, 0].tolist() == [2, 3, 6, 7]
  assert found.train.examples[:, 0].tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize(
  "titles",
  [
    [f"{i}.wav" for i in range(20)],
    [*(f"7_a_{i}.wav" for i in range(19)), "other.wav"],
    [f"7_a_{i}.wav" for i in range(5, 25)],
  ],
  ids=["no takes", "one without", "no first takes"],
)
def test_else_a_fifth_is(tmp_path, titles):
  write_set(tmp_path, {"train": named(titles)}, FEATURES)
  first, second = load(tmp_path), load(tmp_path)
  places = [part.examples[:, 0].tolist() for part in (first.train, first.test)]
  assert len(places[1]) == 4
  assert sorted(places[0] + places[1]) == list(range(20))
  assert second.test.examples[:, 0].tolist() == places[1]


def test_a_test_split_of_the_set_goes_before_takes(tmp_path):
  rows = named(f"7_a_{i}.wav" for i in range(10))
  splits = {"train": rows, "validation": rows[:3]}
  write_set(tmp_path, splits, FEATURES)
  found = load(tmp_path)
  assert (len(found.train.labels), len(found.test.labels)) == (10, 3)


def test_the_sample_rate_is_that_of_the_set(tmp_path, monkeypatch):
  write_set(tmp_path, {"train": recordings(5)}, FEATURES)
  with pytest.raises(ValueError, match=r"does not tell.*give sample_rate"):
    load(tmp_path, sample_rate=None)
  monkeypatch.setitem(waves.SAMPLE_RATES, "toy", 4000)
  found = load(tmp_path, sample_rate=None)
  assert found.sample_rate == 4000 and found.train.examples.shape == (4, 4)
  with pytest.raises(ValueError, match="at 4000 Hz, and 8000 were asked"):
    load(tmp_path)


@pytest.mark.parametrize(
  "bad,message",
  [
    (recording([0, 40000]), "samples go from 0 to 40000, beyond 16 bits"),
    (recording([0], 2), "labels go from 2 to 2, but 2 classes allow 0 to 1"),
    ({"audio": [0]}, "not enough values"),
  ],
)
def test_a_record_that_will_not_do_is_named(tmp_path, bad, message):
  rows = recordings(5)
  write_set(tmp_path, {"train": [*rows[:3], bad, *rows]}, FEATURES)
  with pytest.raises(
    ValueError, match=f"toy, train split: record 3.*{message}"
  ):
    load(tmp_path)


def test_damaged_files_name_the_record(tmp_path):
  folder = write_set(tmp_path, {"train": recordings(300)}, FEATURES)
  path = next(folder.glob("toy-train*"))
  whole = bytearray(path.read_bytes())
  whole[len(whole) // 4 : len(whole) // 4 + 200] = bytes(200)
  path.write_bytes(whole)
  with pytest.raises(ValueError, match=r"toy, train split: record \d+"):
    load(tmp_path)


def test_sets_that_will_not_do_say_why(tmp_path):
  image = {"picture": WAVE, "label": label(2)}
  write_set(tmp_path / "a", {"train": []}, image)
  with pytest.raises(ValueError, match="toy is not a set of recordings"):
    load(tmp_path / "a")
  write_set(tmp_path / "b", {"test": recordings(3)}, FEATURES)
  with pytest.raises(ValueError, match=r"no train split, only \['test'\]"):
    load(tmp_path / "b")
  folder = write_set(tmp_path / "c", {"train": recordings(3)}, FEATURES)
  with pytest.raises(ValueError, match="seconds times a sample rate of 8000"):
    load(tmp_path / "c", seconds=0)
  next(folder.glob("toy-train*")).unlink()
  with pytest.raises(FileNotFoundError, match=r"toy-train.*is missing"):
    load(tmp_path / "c")


@pytest.mark.skipif(not REAL.exists(), reason=f"needs real data in {REAL}")
def test_the_real_spoken_digits():
  found = load_waves("spoken_digit:1.0.9", data_dir=str(REAL))
  assert found.sample_rate == 8000
  assert found.class_names == tuple("0123456789")
  assert found.train.examples.shape == (2250, 8000)
  # Five takes of each digit by each of five speakers.
  assert np.bincount(found.test.labels).tolist() == [25] * 10
  assert (found.test.examples != 0).any(1).all()
