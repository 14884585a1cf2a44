"""TFDS image classification sets in ArrayRecord form, without TensorFlow.

A small set whose images have one size is decoded once, in parallel, into one
array per split, which is kept beside the data as an `.npy` and mapped from
there the next time. Any other is a stream, decoded as it is needed.
"""

import concurrent.futures
import math
import pathlib
import sys
from typing import Any

import numpy as np
import rich.progress

from pwl_jax.data import views
from pwl_jax.data.ahead import available_cpus
from pwl_jax.data.cache import load_or_make
from pwl_jax.data.dataset import Dataset, Split, make_dataset
from pwl_jax.data.examples import TEST_SPLITS
from pwl_jax.data.prepared import (
  check_train_split,
  open_builder,
  open_records,
  supervised_keys,
)
from pwl_jax.data.records import Records
from pwl_jax.data.stream import Stream
from pwl_jax.method.checks import check_choice

STREAM = ("auto", "yes", "no")
MEMORY_LIMIT = 4 * 2**30  # Bytes of decoded images.
CHUNK = 500


def load_tfds(
  name: str,
  *,
  data_dir: str | None = None,
  valid_share: float = 0.1,
  image_size: int = 0,
  stream: str = "auto",
  workers: int = -1,
  cache_dir: str | None = None,
  train_split: str = "train",
) -> Dataset:
  """A set in memory, or streamed; see `sources.load_dataset`.

  Reported on its test split, else its validation split, else on a fifth of
  the training split; a test split without labels does not count.
  """
  check_choice("stream", stream, STREAM)
  builder = open_builder(name, data_dir)
  used = _used_splits(builder, train_split)
  records = [open_records(builder, split) for split in used]
  image_key, label_key = supervised_keys(builder)
  shape = builder.info.features[image_key].shape
  streamed = _is_streamed(
    name,
    shape,
    sum(map(len, records)),
    image_size=image_size,
    stream=stream,
  )
  if streamed:
    seen = (image_size, image_size, shape[-1])
    parts = [
      Stream(r, np.arange(len(r), dtype=np.int32), seen, workers)
      for r in records
    ]
  else:
    folder = pathlib.Path(builder.data_path) / "pwl_jax"
    if cache_dir:
      folder = pathlib.Path(cache_dir) / builder.info.full_name
    parts = [load_split(r, shape, folder) for r in records]
  return make_dataset(
    name,
    *parts,
    class_names=builder.info.features[label_key].names,
    valid_share=valid_share,
  )


def _used_splits(builder, train_split: str) -> list[str]:
  splits = builder.info.splits
  check_train_split(builder, train_split)
  test = [
    split
    for split in TEST_SPLITS
    if split in splits
    and split != train_split
    and open_records(builder, split).has_labels()
  ]
  return [train_split, *test[:1]]


def _is_streamed(
  name: str,
  shape: tuple[int | None, ...],
  num_examples: int,
  *,
  image_size: int,
  stream: str,
) -> bool:
  one_size = None not in shape
  small = one_size and num_examples * math.prod(shape) < MEMORY_LIMIT
  if stream == "yes" or (stream == "auto" and not small):
    if image_size < 1:
      reason = "as asked" if stream == "yes" else "being large"
      if not one_size:
        reason = "as its images differ in size"
      raise ValueError(
        f"{name} is streamed, {reason}, and needs the side of the images to "
        "train on: set config.data.image_size, such as 224"
      )
    return True
  if not one_size:
    raise ValueError(
      f"the images of {name} differ in size, {shape}, and a set in memory "
      "needs one: set config.data.stream to auto, and config.data.image_size"
    )
  if image_size and shape[:2] != (image_size, image_size):
    raise ValueError(
      f"the images of {name} are {shape[0]}x{shape[1]} and stay so in memory, "
      f"but image_size is {image_size}: set config.data.image_size to 0, or "
      "config.data.stream to yes to see them resized"
    )
  return False


def load_split(
  records: Records, shape: tuple[int, ...], folder: pathlib.Path
) -> Split:
  """All of it in memory, from the arrays in `folder` if they are there."""
  stamp, n = records.stamp(), len(records)
  images, labels = (
    f"{records.split}-{kind}-{stamp}.npy" for kind in ("images", "labels")
  )
  found = load_or_make(
    folder,
    {images: ((n, *shape), np.uint8), labels: ((n,), np.int32)},
    lambda: dict(zip((images, labels), _decode(records, shape), strict=True)),
  )
  return Split(found[images], found[labels])


def _decode(records: Records, shape: tuple[int, ...]) -> tuple[Any, Any]:
  images = np.empty((len(records), *shape), np.uint8)
  labels = np.empty(len(records), np.int32)

  def fill(start: int):
    rows = range(start, min(start + CHUNK, len(records)))
    part = slice(rows.start, rows.stop)
    labels[part] = records.decode(
      rows, lambda image, i: views.whole(image, shape), images[part]
    )

  starts = range(0, len(records), CHUNK)
  with concurrent.futures.ThreadPoolExecutor(available_cpus()) as pool:
    for _ in rich.progress.track(
      pool.map(fill, starts),
      description=f"decoding {records.title}, once",
      total=len(starts),
      disable=not sys.stderr.isatty(),
    ):
      pass
  return images, labels
