"""A data set: three splits of examples with labels.

Examples are kept as the first units of a served network take them: images as
uint8 pixels, texts as int32 tokens, sounds as int16 samples; `Dataset.input`
says which.

Validation is honest: `valid` is held out of the training split and serves
every choice; `test` is only for reporting. A split is in memory, a `Split`
here, or decoded as it is needed, a `Stream` of stream.py; both have

  len(split), split.input_shape, split.input_dtype
  split.take(rows), split.fingerprint()
  split.sample(n)            # the first n examples, as a Split
  split.batches(batch_size)  # inputs and labels, every example once
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pwl_jax.bundle.inputs import ImageInput, Input, TextInput
from pwl_jax.data.checks import check_arrays, check_labels

TEST_SHARE = 0.2  # Of a set that has no test split of its own.
STATISTICS_SAMPLE = 2048  # Examples of a stream; a set in memory counts whole.
FINGERPRINT_SAMPLE = 64  # Images.


@dataclasses.dataclass(frozen=True)
class Split:
  """Examples in memory, in a fixed order."""

  inputs: np.ndarray  # [n, ...]
  labels: np.ndarray  # int32[n]

  def __len__(self) -> int:
    return len(self.labels)

  @property
  def input_shape(self) -> tuple[int, ...]:
    return self.inputs.shape[1:]

  @property
  def input_dtype(self) -> np.dtype:
    return self.inputs.dtype

  def take(self, rows: np.ndarray | slice) -> "Split":
    return Split(self.inputs[rows], self.labels[rows])

  def sample(self, n: int) -> "Split":
    return self.take(slice(n))

  def batches(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """In order; the last one may be short."""
    for start in range(0, len(self), batch_size):
      rows = slice(start, start + batch_size)
      yield self.inputs[rows], self.labels[rows]

  def fingerprint(self) -> str:
    """Of the size, the labels and inputs here and there."""
    digest = hashlib.sha256(repr(self.inputs.shape).encode())
    digest.update(self.labels.astype("<i4").tobytes())
    places = np.linspace(0, len(self) - 1, FINGERPRINT_SAMPLE)
    digest.update(self.inputs[np.unique(places.astype(int))].tobytes())
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
  """Three splits that share their classes; each a Split, or each a Stream."""

  name: str
  class_names: tuple[str, ...]
  input: Input  # What an example is; of images before they are normalised.
  train: Any
  valid: Any
  test: Any
  test_texts: tuple[str, ...] = ()  # What tokens of the test split were.

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def input_shape(self) -> tuple[int, ...]:
    return self.train.input_shape

  @property
  def fingerprint(self) -> str:
    """Differs where the examples do; cheap, as it looks at few of them."""
    digest = hashlib.sha256(repr(self.class_names).encode())
    if isinstance(self.input, TextInput):
      digest.update(self.input.tokenizer.encode())
    for split in (self.train, self.valid, self.test):
      digest.update(split.fingerprint().encode())
    return digest.hexdigest()


def make_dataset(
  name: str,
  train: Any,
  test: Any | None = None,
  *,
  class_names: Sequence[str] | None = None,
  valid_share: float = 0.1,
  input: Input | None = None,
  test_texts: Sequence[str] = (),
) -> Dataset:
  """Holds `valid_share` of `train` out, the same examples every time.

  Without a test split, a fifth of `train` is set aside for it before that.
  Class names may be left out for splits in memory. `input` says what examples
  are; images if it is None. `test_texts` are those of a test split of tokens.
  """
  if not 0 < valid_share < 1:
    raise ValueError(
      f"{name}: a valid_share of {valid_share} is no part of the training "
      "split; choose one between 0 and 1, such as 0.1"
    )
  given = {f"{name}, train split": train}
  if test is not None:
    given[f"{name}, test split"] = test
  if input is None:
    resize = "exact" if isinstance(train, Split) else "centre"
    input = ImageInput(tuple(train.input_shape), (), (), resize)
  # A stream checks each example when it reads it.
  in_memory = {where: s for where, s in given.items() if isinstance(s, Split)}
  for where, split in in_memory.items():
    check_arrays(where, split.inputs, split.labels, input)
  for where, split in given.items():
    if not len(split):
      raise ValueError(f"{where} is empty; check the name and the split")
  if class_names is None:
    class_names = _found_classes(name, train.labels)
  for where, split in in_memory.items():
    check_labels(where, split.labels, len(class_names))
  if test is None:
    test, train = _divide(train, TEST_SHARE)
  if train.input_shape != test.input_shape:
    raise ValueError(
      f"{name}: examples of the train split have {train.input_shape}, "
      f"those of the test split {test.input_shape}; make them alike"
    )
  valid, rest = _divide(train, valid_share, in_order=True)
  if not (len(valid) and len(rest) and len(test)):
    raise ValueError(
      f"{name}: {len(train)} training examples and a valid_share of "
      f"{valid_share} leave {len(rest)} to train on, {len(valid)} to hold out "
      f"and {len(test)} to test on; take more examples, or another share"
    )
  names, texts = tuple(class_names), tuple(test_texts)
  return Dataset(name, names, input, rest, valid, test, texts)


def _found_classes(name: str, labels: np.ndarray) -> list[str]:
  """Numbers as names; a gap is a mistake more often than a class."""
  found = np.unique(labels)
  if found.tolist() != list(range(len(found))):
    raise ValueError(
      f"{name}, train split: labels go from {found[0]} to {found[-1]}, and "
      f"{len(found)} of them are used; classes are numbered from 0 without "
      "gaps, and each has training examples"
    )
  return [str(i) for i in found]


def _divide(whole: Any, share: float, *, in_order: bool = False) -> tuple:
  """This share of a split and the rest, drawn alike every time."""
  return tuple(
    whole.take(np.sort(part) if in_order else part)
    for part in drawn(len(whole), share)
  )


def drawn(count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
  """The rows of this share of so many, and those of the rest."""
  rows = np.random.default_rng(0).permutation(count)
  cut = round(share * count)
  return rows[:cut], rows[cut:]


def channel_statistics(split: Any) -> tuple[list[float], list[float]]:
  """Mean and deviation of every channel, where a pixel lies in [0, 1].

  Of a stream, those of its first examples.
  """
  if not isinstance(split, Split):
    split = split.sample(STATISTICS_SAMPLE)
  height, width, channels = split.input_shape
  counts = np.zeros((channels, 256), np.int64)
  # Counting widens every pixel to 8 bytes: 32 MiB at a time.
  for images, _ in split.batches(max(1, 2**22 // (height * width))):
    for c in range(channels):
      counts[c] += np.bincount(images[..., c].ravel(), minlength=256)
  values = np.arange(256) / 255
  share = counts / counts.sum(axis=1, keepdims=True)
  mean = share @ values
  deviation = np.sqrt(np.maximum(share @ values**2 - mean**2, 0))
  return mean.tolist(), np.maximum(deviation, 1e-3).tolist()
