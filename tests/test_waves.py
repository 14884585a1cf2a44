"""TFDS sets of recordings: lengths, splits, and what is said of others."""

import numpy as np
import pytest

from pwl_jax.bundle.inputs import SoundInput
from pwl_jax.data import waves
from pwl_jax.data.examples import label_key, read_split
from pwl_jax.data.prepared import open_builder
from pwl_jax.data.sources import load_dataset
from pwl_jax.data.waves import load_waves
from tests import real_sets
from tests.toy_texts_and_waves import WAVE, label, write_set

FEATURES = {"audio": WAVE, "label": label(2)}
WHOLE = np.random.default_rng(0).integers(-9, 9, (40, 300), np.int16)
NUMBERS = np.arange(40) % 2


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
  with pytest.raises(ValueError, match=r"does not tell.*data.sample_rate"):
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


@real_sets.needs("spoken_digit")
def test_the_real_spoken_digits():
  """Takes 0 to 4 of every speaker and digit are the test split, no other."""
  name, where = "spoken_digit:1.0.9", str(real_sets.WHERE)
  found = load_waves(name, data_dir=where)
  assert found.sample_rate == 8000
  assert found.class_names == tuple("0123456789")
  assert found.train.examples.shape == (2250, 8000)
  # Five takes of each digit by each of five speakers.
  assert np.bincount(found.test.labels).tolist() == [25] * 10
  assert found.test.examples.shape == (250, 8000)
  assert (found.test.examples != 0).any(1).all()
  builder = open_builder(name, where)
  titles, _ = read_split(
    builder,
    "train",
    lambda features: features[waves.FILENAME].bytes_list.value[0].decode(),
    label_key(builder),
  )
  assert len(titles) == len(set(titles)) == 2500
  # Digit, speaker and take, in the order in which recordings are divided.
  parts = [title.removesuffix(".wav").split("_") for title in titles]
  digits, takes = (np.array([int(p[i]) for p in parts]) for i in (0, 2))
  assert found.test.labels.tolist() == digits[takes < 5].tolist()
  assert found.train.labels.tolist() == digits[takes >= 5].tolist()
  known = {wave.tobytes() for wave in found.train.examples}
  assert not known & {wave.tobytes() for wave in found.test.examples}


def test_arrays_of_sounds(tmp_path):
  path, x, y = tmp_path / "a.npz", WHOLE, NUMBERS
  np.savez(path, x=x, y=y, sample_rate=100)
  for seconds, samples in ((2.0, 200), (4.0, 400)):
    dataset = load_dataset(f"arrays:{path}", seconds=seconds)
    assert dataset.input == SoundInput(samples, 100)
    assert len(dataset.test) == 8
    whole = {wave[:200].tobytes() for wave in x}
    for split in (dataset.train, dataset.valid, dataset.test):
      assert {wave[:200].tobytes() for wave in split.inputs} <= whole
      assert not split.inputs[:, 300:].any()
  for rate, message in (
    (None, r"a.npz does not tell .* set config.data.sample_rate"),
    (np.array([8000]), r"is int64 \[8000\]; save it as one"),
    (8000.5, "is float64 8000.5; save it as one"),
    (0, "does not tell"),
  ):
    given = {} if rate is None else {"sample_rate": rate}
    np.savez(path, x=x, y=y, **given)
    with pytest.raises(ValueError, match=message):
      load_dataset(f"arrays:{path}")


@pytest.mark.parametrize(
  "changes,message",
  [
    ({"x": WHOLE / 32768}, r"int16 \[n, samples\], got float64.*32767"),
    ({"x": WHOLE[..., None]}, r"got int16 \[40, 300, 1\]"),
    ({"x": WHOLE[:, :0]}, r"got int16 \[40, 0\]"),
    ({"x_test": WHOLE[..., None], "y_test": NUMBERS}, r"\[40, 300, 1\]"),
  ],
)
def test_arrays_that_are_no_sounds_are_refused(tmp_path, changes, message):
  arrays = {"x": WHOLE, "y": NUMBERS, "sample_rate": 100} | changes
  np.savez(tmp_path / "a.npz", **arrays)
  with pytest.raises(ValueError, match=message):
    load_dataset(f"arrays:{tmp_path / 'a.npz'}")


def test_arrays_that_do_not_tell_their_rate(tmp_path):
  np.savez(tmp_path / "a.npz", x=WHOLE, y=NUMBERS)
  name = f"arrays:{tmp_path / 'a.npz'}"
  dataset = load_dataset(name, sample_rate=100, seconds=2)
  assert dataset.input == SoundInput(200, 100)
  for seconds in (float("nan"), -1.0, 1e-9):
    with pytest.raises(ValueError, match="seconds"):
      load_dataset(name, sample_rate=100, seconds=seconds)


def test_a_set_that_is_described_by_code_needs_its_version(monkeypatch):
  """As without TensorFlow, which such code asks for."""

  def missing(name, data_dir):
    raise ModuleNotFoundError("No module named 'tensorflow'")

  monkeypatch.setattr("tensorflow_datasets.builder", missing)
  with pytest.raises(ValueError, match=r"'spoken_digit'.*with its version"):
    load_dataset("tfds:spoken_digit")
