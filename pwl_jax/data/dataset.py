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

from pwl_jax.bundle.parts import ImageInput, Input, TextInput

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
  given = {"train": train} if test is None else {"train": train, "test": test}
  if input is None:
    resize = "exact" if isinstance(train, Split) else "centre"
    input = ImageInput(tuple(train.input_shape), (), (), resize)
  for title, split in given.items():
    _check_form(f"{name}, {title} split", split, input)
  if class_names is None:
    class_names = _found_classes(name, train.labels)
  for title, split in given.items():
    _check_labels(f"{name}, {title} split", split, len(class_names))
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


def _check_form(where: str, split: Any, input: Input):
  if isinstance(split, Split):
    if isinstance(input, ImageInput):
      _check_images(where, split.inputs)
    elif (split.inputs.dtype, split.input_shape) != (input.dtype, input.shape):
      raise ValueError(
        f"{where}: {input.kind} must be {input.dtype} {['n', *input.shape]}, "
        f"got {split.inputs.dtype} {list(split.inputs.shape)}"
      )
    _check_label_array(where, input.kind, len(split.inputs), split.labels)
  if not len(split):
    raise ValueError(f"{where} is empty; check the name and the split")


def _check_images(where: str, images: np.ndarray):
  if images.ndim != 4 or images.dtype != np.uint8:
    advice = ""
    if np.issubdtype(images.dtype, np.floating):
      advice = (
        "; pixels from 0 to 1 become so with "
        "(255 * images).round().astype(numpy.uint8)"
      )
    raise ValueError(
      f"{where}: images must be uint8 [n, height, width, channels], got "
      f"{images.dtype} {list(images.shape)}{advice}"
    )
  if not all(images.shape[1:]):
    raise ValueError(
      f"{where}: images of {list(images.shape[1:])} have no pixels"
    )


def _check_label_array(where: str, kind: str, count: int, labels: np.ndarray):
  if labels.shape != (count,):
    raise ValueError(
      f"{where}: {count} {kind} need as many labels, got labels of shape "
      f"{list(labels.shape)}"
    )
  if not np.issubdtype(labels.dtype, np.integer):
    raise ValueError(
      f"{where}: labels must be whole numbers, got {labels.dtype}"
    )


def _check_labels(where: str, split: Any, num_classes: int):
  if not isinstance(split, Split):
    return  # A stream checks each label when it reads it.
  low, high = int(split.labels.min()), int(split.labels.max())
  if low < 0 or high >= num_classes:
    raise ValueError(
      f"{where}: {label_range(low, high, num_classes)}"
      + ("; this split hides its labels" if high < 0 else "")
    )


def label_range(low: int, high: int, num_classes: int) -> str:
  """Of a complaint: what labels are, and what they may be."""
  return (
    f"labels go from {low} to {high}, but {num_classes} classes allow 0 to "
    f"{num_classes - 1}; classes are numbered from 0"
  )
