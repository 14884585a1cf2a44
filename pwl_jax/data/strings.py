"""Sets of strings with a class each, as lists in memory.

From TFDS, in ArrayRecord form, or from an .npz file. What is reported on is
the set's test split, else its validation split; a test split that hides its
labels, as all of glue do, does not count. Without either it is a fifth of the
training split, always the same.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pwl_jax.data.examples import (
  Labelled,
  label_key,
  read_splits,
  with_test,
)
from pwl_jax.data.npz import ADVICE, Npz
from pwl_jax.data.prepared import import_tfds, open_builder

# Of sets whose text is in several features, or not in the one they name.
FIELDS = {"ag_news_subset": ("title", "description")}


class Strings(NamedTuple):
  """Texts to train and to report on; examples are lists of str."""

  train: Labelled
  test: Labelled
  class_names: tuple[str, ...] | None  # None for numbers.


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

  parts = read_splits(builder, parse, train_split=train_split)
  names = builder.info.features[label_key(builder)].names
  return Strings(*with_test(*parts), tuple(names))


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


def string_arrays(found: Npz) -> Strings:
  """Classes have no names but their numbers."""
  parts = [part for part in (found.train, found.test) if part is not None]
  for part in parts:
    _check(found.path, part.examples)
  listed = [part._replace(examples=part.examples.tolist()) for part in parts]
  return Strings(*with_test(*listed), None)


def _check(path: pathlib.Path, texts: np.ndarray):
  if texts.ndim != 1 or texts.dtype.kind != "U" or not len(texts):
    raise ValueError(
      f"{path}: x is {texts.dtype} {list(texts.shape)}, and not a row of "
      f"strings; {ADVICE}"
    )
