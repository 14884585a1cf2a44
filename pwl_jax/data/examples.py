"""Whole splits of TFDS sets that hold no images, read into memory at once.

What sets of text and of audio have in common: which splits count, how their
records are read without TensorFlow, and what is said of damaged ones.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pwl_jax.data.checks import label_range
from pwl_jax.data.dataset import TEST_SHARE, drawn
from pwl_jax.data.prepared import check_train_split, import_tfds, open_source
from pwl_jax.data.records import damaged, features_of, read_each

TEST_SPLITS = ("test", "validation")  # The first with labels counts.
CHUNK = 1000  # Records that are read at once.


class Labelled(NamedTuple):
  """Examples in a fixed order."""

  examples: Any  # An array with the examples first, or a list of str.
  labels: np.ndarray  # int32[n]

  def take(self, rows: np.ndarray) -> "Labelled":
    if isinstance(self.examples, list):
      return Labelled([self.examples[i] for i in rows], self.labels[rows])
    return Labelled(self.examples[rows], self.labels[rows])


def divide(whole: Labelled, in_test: np.ndarray) -> tuple[Labelled, Labelled]:
  """Those that are not in the test split, and those that are."""
  return tuple(whole.take(np.flatnonzero(part)) for part in (~in_test, in_test))


def with_test(
  train: Labelled, test: Labelled | None = None
) -> tuple[Labelled, Labelled]:
  """The same, or a fifth set aside where there is no test split."""
  if test is None:
    return divide(train, a_fifth(len(train.labels)))
  return train, test


def a_fifth(count: int) -> np.ndarray:
  """bool[count], for sets without a test split; drawn alike every time."""
  chosen = np.zeros(count, bool)
  chosen[drawn(count, TEST_SHARE)[0]] = True
  return chosen


def label_key(builder) -> str:
  """The name of the label: that which the set names, or its only class."""
  features, keys = builder.info.features, builder.info.supervised_keys
  classes = import_tfds().features.ClassLabel
  if isinstance(keys, tuple) and isinstance(features[keys[-1]], classes):
    return keys[-1]
  found = sorted(key for key in features if isinstance(features[key], classes))
  if len(found) != 1:
    raise ValueError(
      f"{builder.name} has {len(found)} classes per example, {found}, and "
      f"training needs one; its features are {sorted(features)}"
    )
  return found[0]


def read_split(
  builder, split: str, parse: Callable[[Mapping[str, Any]], Any], label: str
) -> Labelled:
  """A list of what `parse` makes of each record, and their labels.

  A split whose labels are hidden has -1 in their place. `parse` is given the
  features of a tf.train.Example by name.
  """
  _, source = open_source(builder, split)
  num_classes = builder.info.features[label].num_classes
  parsed, labels = [], np.empty(len(source), np.int32)
  for start in range(0, len(source), CHUNK):
    rows = range(start, min(start + CHUNK, len(source)))
    for row, record in zip(rows, read_each(source, rows), strict=True):
      try:
        features = features_of(record)
        (number,) = features[label].int64_list.value
        if not -1 <= number < num_classes:
          raise ValueError(label_range(number, number, num_classes))
        labels[row] = number
        parsed.append(parse(features))
      except Exception as error:  # Damage shows in many ways.
        raise damaged(f"{builder.name}, {split} split", row, error) from error
  return Labelled(parsed, labels)


def read_splits(
  builder,
  parse: Callable[[Mapping[str, Any]], Any],
  *,
  train_split: str = "train",
) -> tuple[Labelled, Labelled | None]:
  """Lists to train and to report on; None where there is no second one.

  The test split is the first of `TEST_SPLITS` that has labels.
  """
  splits, label = builder.info.splits, label_key(builder)
  check_train_split(builder, train_split)
  train = read_split(builder, train_split, parse, label)
  if not len(train.labels) or train.labels.min() < 0:
    raise ValueError(
      f"{builder.name}, {train_split} split: it is empty, or hides its labels; "
      "name another split to train on as config.data.train_split"
    )
  for split in TEST_SPLITS:
    if split in splits and split != train_split:
      test = read_split(builder, split, parse, label)
      if len(test.labels) and test.labels.min() >= 0:
        return train, test
  return train, None
