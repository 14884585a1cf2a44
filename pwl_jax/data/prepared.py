"""Opens TFDS sets that lie on disk, and says what is wrong with others."""

import os
import shlex
from collections.abc import Sequence

import numpy as np

from pwl_jax.data.records import Records
from pwl_jax.data.views import MODES

SPARE_FILES = 256  # Open at once, beside the files of a set.


def open_builder(name: str, data_dir: str | None):
  """The builder of a prepared set; TFDS's own errors here mislead."""
  tfds = import_tfds()
  where = data_dir or tfds.core.constants.DATA_DIR
  try:
    builder = tfds.builder(name, data_dir=data_dir or None)
  except ImportError as error:  # Of what describes it, such as TensorFlow.
    raise ValueError(
      f"TFDS describes {name!r} by code that needs what is not installed "
      f"({error}); give the name with its version, such as "
      "spoken_digit:1.0.9, to have it read from its files alone"
    ) from error
  except (tfds.core.DatasetNotFoundError, AssertionError, ValueError) as error:
    reason = str(error).splitlines()[0]
    raise ValueError(f"no TFDS set {name!r} in {where}: {reason}") from error
  command = f"\n  python -m pwl_jax.data.prepare {name} --data_dir="
  if not builder.is_prepared() or not builder.info.splits:
    raise ValueError(
      f"{name} is not in {where}; prepare it with{command}"
      f"{shlex.quote(str(where))}\nor name the folder it is in as "
      "config.data.data_dir"
    )
  form = builder.info.file_format.value
  if form != "array_record":
    raise ValueError(
      f"{name} in {builder.data_path} is stored as {form}, which only "
      f"TensorFlow reads; prepare it once more, in another folder, with"
      f"{command}DIR\nand name that as config.data.data_dir"
    )
  return builder


def check_train_split(builder, split: str):
  if split not in builder.info.splits:
    raise ValueError(
      f"{builder.name} in {builder.data_path} has no {split} split, only "
      f"{sorted(builder.info.splits)}; prepare all of it, or name the one to "
      "train on as config.data.train_split"
    )


def import_tfds():
  """Takes a second: only for its users."""
  try:
    import tensorflow_datasets as tfds
    from array_record.python import array_record_data_source  # noqa: F401
  except ImportError as error:
    raise ValueError(
      f"TFDS sets need packages that are not installed ({error}):\n"
      "  pip install tensorflow-datasets array-record"
    ) from error
  return tfds


def supervised_keys(builder) -> tuple[str, str]:
  """The names of the image and of the label among the features of a set."""
  tfds = import_tfds()
  keys, features = builder.info.supervised_keys, builder.info.features
  if not (
    isinstance(keys, tuple)
    and len(keys) == 2
    and all(isinstance(key, str) for key in keys)
    and isinstance(features[keys[0]], tfds.features.Image)
    and isinstance(features[keys[1]], tfds.features.ClassLabel)
  ):
    raise ValueError(
      f"{builder.name} is not a set of images with a class each; its features "
      f"are {list(features)}"
    )
  image = features[keys[0]]
  dtype = np.dtype(image.np_dtype)  # Some sets give a type, some its name.
  if dtype != np.uint8 or image.shape[-1] not in MODES:
    raise ValueError(
      f"the images of {builder.name} are {dtype} with {image.shape[-1]} "
      "channels; training reads uint8 with "
      f"{' or '.join(map(str, MODES))}"
    )
  return keys


def open_records(builder, split: str) -> Records:
  """The labelled images of a split."""
  image_key, label_key = supervised_keys(builder)
  paths, source = open_source(builder, split)
  return Records(
    builder.name,
    split,
    paths,
    source,
    image_key,
    label_key,
    builder.info.features[label_key].num_classes,
  )


def open_source(builder, split: str) -> tuple[tuple[str, ...], Sequence[bytes]]:
  """The files of a split, and its records; none is opened before it is read."""
  from array_record.python.array_record_data_source import (
    ArrayRecordDataSource,
  )

  info = builder.info.splits[split]
  paths = tuple(os.fspath(path) for path in info.filepaths)
  for path in paths:
    if not os.path.exists(path):
      raise FileNotFoundError(
        f"{path} of {builder.name} is missing; prepare the set again"
      )
  _allow_open_files(len(paths) + SPARE_FILES)
  return paths, ArrayRecordDataSource(info.file_instructions) if paths else ()


def _allow_open_files(count: int):
  """Large sets have more files than a process may have open by default."""
  try:
    import resource
  except ImportError:  # Not on this system.
    return
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  if hard != resource.RLIM_INFINITY:
    count = min(count, hard)
  if soft != resource.RLIM_INFINITY and soft < count:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
