"""Labelled images in ArrayRecord files, decoded one by one.

A record is a serialised tf.train.Example with an encoded image and a label;
those of texts and of sounds are read by the functions at the end, too.
Nothing here needs TensorFlow or jax: worker processes run it.
"""

import dataclasses
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pwl_jax.data.checks import label_range

View = Callable[[Image.Image, int], np.ndarray]  # image, its place -> pixels


@dataclasses.dataclass(frozen=True)
class Records:
  """The records of a split, numbered over all of its files."""

  name: str  # Of the set.
  split: str
  paths: tuple[str, ...]
  source: Any  # An ArrayRecordDataSource; opens its files when it needs them.
  image_key: str
  label_key: str
  num_classes: int

  def __len__(self) -> int:
    return len(self.source)

  @property
  def title(self) -> str:
    return f"{self.name}, {self.split} split"

  def has_labels(self) -> bool:
    """Whether the first one has; a split hides those of all or of none."""
    if not len(self):
      return False
    (record,) = read_each(self.source, [0])
    try:
      features = features_of(record)
    except Exception as error:
      raise damaged(self.title, 0, error) from error
    return min(features[self.label_key].int64_list.value, default=-1) >= 0

  def decode(
    self, rows: Sequence[int], view: View, images: np.ndarray
  ) -> np.ndarray:
    """Fills `images` with views of these records; returns their labels.

    `view` is told the place of the record in `rows`.
    """
    rows = [int(row) for row in rows]
    labels = np.empty(len(rows), np.int32)
    records = read_each(self.source, rows)
    for i, (row, record) in enumerate(zip(rows, records, strict=True)):
      try:
        image, labels[i] = self._parse(record)
        images[i] = view(image, i)
      except Exception as error:  # Damage shows in many ways.
        raise damaged(self.title, row, error) from error
    return labels

  def fingerprint(self) -> str:
    """Of the names and sizes of the files, wherever they lie."""
    files = [(os.path.basename(p), os.path.getsize(p)) for p in self.paths]
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()

  def stamp(self) -> str:
    """Changes when the files do, so that no stale cache is read."""
    digest = hashlib.sha256()
    for path in map(pathlib.Path, self.paths):
      stat = path.stat()
      digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns};".encode())
    return digest.hexdigest()[:12]

  def _parse(self, record: bytes | Exception) -> tuple[Image.Image, int]:
    features = features_of(record)
    (encoded,) = features[self.image_key].bytes_list.value
    (label,) = features[self.label_key].int64_list.value
    if not 0 <= label < self.num_classes:
      raise ValueError(label_range(label, label, self.num_classes))
    return Image.open(io.BytesIO(encoded)), label


def read_each(source: Any, rows: Sequence[int]) -> Sequence[bytes | Exception]:
  """Records, or what kept them from being read."""
  if not rows:
    return []
  try:
    return source.__getitems__(list(rows))
  except Exception:  # One by one, to say which.
    return [_read_one(source, row) for row in rows]


def _read_one(source: Any, row: int) -> bytes | Exception:
  try:
    return source[row]
  except Exception as error:
    return error


def features_of(record: bytes | Exception) -> Mapping[str, Any]:
  """Of a tf.train.Example, by name; raises what kept it from being read."""
  # Takes half a second: only for its users.
  from tensorflow_datasets.proto import tf_example_pb2

  if isinstance(record, Exception):
    raise record
  return tf_example_pb2.Example.FromString(record).features.feature


def damaged(title: str, row: int, error: Exception) -> ValueError:
  """`title` is of the split."""
  return ValueError(
    f"{title}: record {row} cannot be used: {error}; if its file is damaged, "
    "prepare the set again"
  )
