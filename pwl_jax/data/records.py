"""Labelled images in ArrayRecord files, decoded one by one.

A record is a serialised tf.train.Example with an encoded image and a label.
Nothing here needs TensorFlow or jax: worker processes run it.
"""

import dataclasses
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pwl_jax.data.dataset import label_range

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
    features = self._features(self._read_one(0))
    return min(features[self.label_key].int64_list.value, default=-1) >= 0

  def decode(
    self, rows: Sequence[int], view: View, images: np.ndarray
  ) -> np.ndarray:
    """Fills `images` with views of these records; returns their labels.

    `view` is told the place of the record in `rows`.
    """
    rows = [int(row) for row in rows]
    labels = np.empty(len(rows), np.int32)
    for i, (row, record) in enumerate(zip(rows, self._read(rows), strict=True)):
      try:
        image, labels[i] = self._parse(record)
        images[i] = view(image, i)
      except Exception as error:  # Damage shows in many ways.
        raise self._damaged(row, error) from error
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

  def _read(self, rows: list[int]) -> Sequence[bytes]:
    if not rows:
      return []
    try:
      return self.source.__getitems__(rows)
    except Exception:  # One by one, to say which.
      return [self._read_one(row) for row in rows]

  def _read_one(self, row: int) -> bytes:
    try:
      return self.source[row]
    except Exception as error:
      raise self._damaged(row, error) from error

  def _parse(self, record: bytes) -> tuple[Image.Image, int]:
    features = self._features(record)
    (encoded,) = features[self.image_key].bytes_list.value
    (label,) = features[self.label_key].int64_list.value
    if not 0 <= label < self.num_classes:
      raise ValueError(label_range(label, label, self.num_classes))
    return Image.open(io.BytesIO(encoded)), label

  def _features(self, record: bytes):
    # Takes half a second: only for its users.
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example.FromString(record).features.feature

  def _damaged(self, row: int, error: Exception) -> ValueError:
    return ValueError(
      f"{self.title}: record {row} cannot be used: {error}; if its file is "
      "damaged, prepare the set again"
    )
