"""Sets of strings with a class each, as lists in memory.

From TFDS, in ArrayRecord form, or from an .npz file. What is reported on is
the set's test split, else its validation split; a test split that hides its
labels, as all of glue do, does not count. Without either it is a fifth of the
training split, always the same.
"""

import pathlib
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pwl_jax.data.dataset import label_range
from pwl_jax.data.examples import (
  Labelled,
  a_fifth,
  divide,
  label_key,
  read_splits,
)
from pwl_jax.data.prepared import import_tfds, open_builder

# Of sets whose text is in several features, or not in the one they name.
FIELDS = {"ag_news_subset": ("title", "description")}
ADVICE = "save it with numpy.savez(path, x=numpy.array(texts), y=labels)"


class Strings(NamedTuple):
  """Texts to train and to report on; examples are lists of str."""

  train: Labelled
  test: Labelled
  class_names: tuple[str, ...]


def load_strings(
  name: str,
  *,
  data_dir: str | None = None,
  fields: Sequence[str] = (),
  train_split: str = "train",
) -> Strings:
  """A prepared TFDS set, such as "glue/sst2".

  Args:
    name: of the set, with its config.
    data_dir: where TFDS sets lie; TFDS's own default if None.
    fields: the features that are the text, joined by a space; without any,
      the one that the set names as its input, else all that are texts.
    train_split: to train on; for sets of which only a test split is there.
  """
  builder = open_builder(name, data_dir)
  fields = _fields(builder, fields)

  def parse(features):
    parts = [features[field].bytes_list.value for field in fields]
    return " ".join(value.decode() for (value,) in parts)

  train, labels, test, test_labels = read_splits(
    builder, parse, train_split=train_split
  )
  parts = _parts(Labelled(train, labels), test, test_labels)
  names = builder.info.features[label_key(builder)].names
  return Strings(*parts, tuple(names))


def _fields(builder, given: Sequence[str]) -> tuple[str, ...]:
  features, keys = builder.info.features, builder.info.supervised_keys
  text = import_tfds().features.Text
  # Sorted, as their order is another one in every process.
  texts = sorted(key for key in features if isinstance(features[key], text))
  named = keys[:1] if isinstance(keys, tuple) else tuple(texts)
  fields = tuple(given) or FIELDS.get(builder.name) or named
  if not fields or not set(fields) <= set(texts):
    raise ValueError(
      f"{list(fields)} of {builder.name} should be text, but of its features, "
      f"{sorted(features)}, only {texts} are; choose among those"
    )
  return fields


def _parts(whole: Labelled, test, test_labels) -> tuple[Labelled, Labelled]:
  if test is None:
    return divide(whole, a_fifth(len(whole.labels)))
  return whole, Labelled(test, test_labels)


def load_string_arrays(path: str | pathlib.Path) -> Strings:
  """An .npz with `x`, str[n], and `y`, int[n]; also x_test and y_test, or not.

  Classes are numbered from 0 without gaps, and their numbers are their names.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"{path} is no file; give the path of an .npz")
  arrays = _read(path)
  train = _labelled(path, arrays, "x", "y")
  test = test_labels = None
  if arrays.keys() & {"x_test", "y_test"}:
    test, test_labels = _labelled(path, arrays, "x_test", "y_test")
  count = len(np.unique(train.labels))
  for labels in (train.labels, test_labels):
    if labels is not None and not (0 <= labels.min() <= labels.max() < count):
      raise ValueError(
        f"{path}: {label_range(labels.min(), labels.max(), count)} without gaps"
      )
  names = tuple(map(str, range(count)))
  return Strings(*_parts(train, test, test_labels), names)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as file:
      return {name: file[name] for name in file.files}
  except (
    AttributeError,  # A single array is no context.
    OSError,
    TypeError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
  ) as error:
    raise ValueError(
      f"{path} cannot be read as an .npz of strings ({error}); {ADVICE}, "
      "texts being a list of str"
    ) from error


def _labelled(path: pathlib.Path, arrays, x: str, y: str) -> Labelled:
  if missing := {x, y} - arrays.keys():
    raise ValueError(
      f"{path} lacks {sorted(missing)}, it has {sorted(arrays)}; {ADVICE}, "
      "with x_test and y_test for a test split"
    )
  texts, labels = arrays[x], arrays[y]
  if texts.ndim != 1 or texts.dtype.kind != "U" or not len(texts):
    raise ValueError(
      f"{path}: {x} is {texts.dtype} {list(texts.shape)}, and not a row of "
      f"strings; {ADVICE}"
    )
  if labels.shape != texts.shape or labels.dtype.kind not in "iu":
    raise ValueError(
      f"{path}: {len(texts)} texts need as many whole numbers, got {y} of "
      f"{labels.dtype} {list(labels.shape)}"
    )
  narrow = labels.astype(np.int32)
  if (narrow != labels).any():
    raise ValueError(
      f"{path}: {y} goes from {labels.min()} to {labels.max()}, which is more "
      "than 32 bits hold; number the classes from 0"
    )
  return Labelled(texts.tolist(), narrow)
