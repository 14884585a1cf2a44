"""TFDS sets of recordings with a class each, as 16-bit waveforms in memory.

Recordings are of different lengths: each is cut off behind, or padded with
silence behind, to the same number of samples. What is reported on is the set's
test split, else its validation split. Where there is neither, as in
spoken_digit, and the recordings are named digit_speaker_take.wav, it is the
usual convention of the Free Spoken Digit Dataset: takes 0 to 4 of every
speaker and digit, a tenth of all. Else it is a fifth, always the same.
"""

import re
from typing import NamedTuple

import numpy as np

from pwl_jax.data.examples import (
  Labelled,
  a_fifth,
  divide,
  label_key,
  read_splits,
  with_test,
)
from pwl_jax.data.npz import Npz
from pwl_jax.data.prepared import open_builder
from pwl_jax.method.checks import check_range

# Of sets whose files do not say it.
SAMPLE_RATES = {"spoken_digit": 8000, "speech_commands": 16000}
FILENAME = "audio/filename"
TAKE = re.compile(r"\d+_\w+_(\d+)\.wav")
TEST_TAKES = 5  # The first ones of every speaker and digit.
LIMITS = np.iinfo(np.int16)


class Waves(NamedTuple):
  """Recordings to train and to report on; examples are int16[n, samples]."""

  train: Labelled
  test: Labelled
  class_names: tuple[str, ...] | None  # None for numbers.
  sample_rate: int


def load_waves(
  name: str,
  *,
  data_dir: str | None = None,
  seconds: float = 1.0,
  sample_rate: int = 0,
  train_split: str = "train",
) -> Waves:
  """A prepared set, such as "spoken_digit:1.0.9".

  Args:
    name: of the set; with its version it is read from its files alone.
    data_dir: where TFDS sets lie; TFDS's own default if None.
    seconds: the length of each waveform.
    sample_rate: of the recordings, where the set does not tell; 0 if it does.
    train_split: to train on.
  """
  builder = open_builder(name, data_dir)
  audio = _audio_key(builder)
  told = getattr(builder.info.features[audio], "sample_rate", None)
  told = told or SAMPLE_RATES.get(builder.name)
  rate = _rate(builder.name, told, sample_rate)
  samples = _samples(seconds, rate)

  def parse(features):
    names = features[FILENAME].bytes_list.value if FILENAME in features else ()
    wave = _fitted(features[audio].int64_list.value, samples)
    return wave, b"".join(names).decode()

  train, test = read_splits(builder, parse, train_split=train_split)
  if test is None:
    titles = [title for _, title in train.examples]
    parts = divide(_waves(train), _set_aside(titles))
  else:
    parts = _waves(train), _waves(test)
  names = builder.info.features[label_key(builder)].names
  return Waves(*parts, tuple(names), rate)


def _rate(name: str, told: int | None, given: int) -> int:
  """What a set tells of the sample rate, or else what is given; 0 for none."""
  if given and told and given != told:
    raise ValueError(
      f"{name} is recorded at {told} Hz, and {given} were asked for; "
      "recordings are not resampled: set config.data.sample_rate to 0"
    )
  if not (given or told):
    raise ValueError(
      f"{name} does not tell how many samples a second has; set "
      "config.data.sample_rate, such as 16000"
    )
  return given or told


def _audio_key(builder) -> str:
  """The name of the recording among the features: one row of whole numbers."""
  features, keys = builder.info.features, builder.info.supervised_keys
  key = keys[0] if isinstance(keys, tuple) else "audio"
  feature = dict(features.items()).get(key)
  is_row = getattr(feature, "shape", None) == (None,)
  if not is_row or not np.issubdtype(feature.np_dtype, np.integer):
    raise ValueError(
      f"{builder.name} is not a set of recordings, one row of whole numbers "
      f"each; its features are {sorted(features)}"
    )
  return key


def _fitted(values, samples: int) -> np.ndarray:
  """The first samples as 16 bits, with silence behind them."""
  values = np.array(values[:samples], np.int64)
  low, high = values.min(initial=0), values.max(initial=0)
  if low < LIMITS.min or high > LIMITS.max:
    raise ValueError(
      f"samples go from {low} to {high}, beyond 16 bits, {LIMITS.min} to "
      f"{LIMITS.max}"
    )
  wave = np.zeros(samples, np.int16)
  wave[: len(values)] = values
  return wave


def _waves(parsed: Labelled) -> Labelled:
  return parsed._replace(examples=np.stack([w for w, _ in parsed.examples]))


def wave_arrays(
  found: Npz, *, seconds: float = 1.0, sample_rate: int = 0
) -> Waves:
  """Of an .npz whose x is int16[n, samples], with a sample_rate if it tells."""
  told = found.others.get("sample_rate")
  if told is not None and (told.shape or told.dtype.kind not in "iu"):
    raise ValueError(
      f"the sample_rate of {found.path} is {told.dtype} {told.tolist()}; save "
      "it as one whole number, such as 8000"
    )
  rate = _rate(
    str(found.path), None if told is None else int(told), sample_rate
  )
  samples = _samples(seconds, rate)
  parts = [part for part in (found.train, found.test) if part is not None]
  fitted = [
    part._replace(examples=_all_fitted(found.path, part.examples, samples))
    for part in parts
  ]
  return Waves(*with_test(*fitted), None, rate)


def _all_fitted(path, waves: np.ndarray, samples: int) -> np.ndarray:
  if waves.dtype != np.int16 or waves.ndim != 2 or not waves.shape[1]:
    raise ValueError(
      f"{path}: sounds are int16 [n, samples], got {waves.dtype} "
      f"{list(waves.shape)}; numbers from -1 to 1 become so with "
      "(32767 * sounds).round().astype(numpy.int16)"
    )
  missing = max(0, samples - waves.shape[1])
  return np.pad(waves[:, :samples], ((0, 0), (0, missing)))


def _samples(seconds: float, sample_rate: int) -> int:
  check_range("data.seconds", seconds, 0)
  samples = round(seconds * sample_rate)
  check_range(f"seconds times a sample rate of {sample_rate}", samples, 1)
  return samples


def _set_aside(titles: list[str]) -> np.ndarray:
  """bool[n]: which recordings of a set without a test split are its test."""
  takes = [TAKE.fullmatch(title) for title in titles]
  if all(takes):
    chosen = np.array([int(take[1]) < TEST_TAKES for take in takes])
    if chosen.any() and not chosen.all():
      return chosen
  return a_fifth(len(titles))
