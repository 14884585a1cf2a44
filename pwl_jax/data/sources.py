"""Data sets by name.

digits              the embedded handwritten digits, 8x8
tfds:NAME           a TFDS set in ArrayRecord form, such as tfds:cifar10
arrays:PATH         an .npz with x and y; x are images, strings, or sounds
synthetic[:SIZES]   noise, such as synthetic:1024x32x32x3/10
"""

from pwl_jax.data.arrays import image_arrays, make_synthetic
from pwl_jax.data.dataset import Dataset
from pwl_jax.data.digits import load_digits
from pwl_jax.data.kinds import of_tfds, sound_dataset, text_dataset
from pwl_jax.data.npz import read_npz
from pwl_jax.data.strings import load_strings, string_arrays
from pwl_jax.data.tfds import STREAM, load_tfds
from pwl_jax.data.waves import load_waves, wave_arrays
from pwl_jax.method.checks import check_choice

KINDS = ("digits", "tfds", "arrays", "synthetic")


def load_dataset(
  name: str,
  *,
  data_dir: str | None = None,
  valid_share: float = 0.1,
  image_size: int = 0,
  stream: str = "auto",
  workers: int = -1,
  cache_dir: str | None = None,
  train_split: str = "train",
  tokens: int = 64,
  vocabulary: int = 8000,
  tokenizer: str = "",
  seconds: float = 1.0,
) -> Dataset:
  """Loads a set into memory, or opens it as a stream.

  Args:
    name: as above.
    data_dir: where TFDS sets lie; TFDS's own default if None.
    valid_share: part of the training split that is held out for validation.
    image_size: side of the images of a stream; 0 if they are as they are.
    stream: "yes", "no", or "auto" for TFDS sets that are large or whose
      images differ in size.
    workers: processes that decode a stream while it is trained on; 0 for
      threads, -1 for what suits the number of CPUs.
    cache_dir: where decoded TFDS sets are kept; beside the data if None.
    train_split: of a TFDS set.
    tokens: of a text; longer ones are cut.
    vocabulary: at most so many different tokens are learnt.
    tokenizer: of a tokenizer.json; learnt on the training split if empty.
    seconds: of a sound; longer ones are cut, shorter ones are followed by
      silence.
  """
  kind, _, rest = name.partition(":")
  check_choice("data set", kind, KINDS, otherwise="tfds:NAME for a TFDS set")
  check_choice("stream", stream, STREAM)
  if image_size < 0 or workers < -1:
    raise ValueError(
      f"image_size is {image_size} and workers is {workers}; the first may "
      "not be below 0, the second not below -1"
    )
  found = read_npz(rest) if kind == "arrays" else None
  examples = found.kind if found else "images"
  if kind == "tfds":
    examples = of_tfds(rest, data_dir)
  split = dict(data_dir=data_dir, train_split=train_split)
  if examples == "texts":
    strings = string_arrays(found) if found else load_strings(rest, **split)
    sizes = dict(length=tokens, vocabulary=vocabulary, tokenizer=tokenizer)
    return text_dataset(name, strings, valid_share=valid_share, **sizes)
  if examples == "sounds":
    waves = (
      wave_arrays(found, seconds=seconds)
      if found
      else load_waves(rest, seconds=seconds, **split)
    )
    return sound_dataset(name, waves, valid_share=valid_share)
  if kind == "tfds":
    return load_tfds(
      rest,
      valid_share=valid_share,
      image_size=image_size,
      stream=stream,
      workers=workers,
      cache_dir=cache_dir,
      **split,
    )
  if stream == "yes":
    raise ValueError(
      f"{name} is always in memory, only TFDS sets are streamed: set "
      "config.data.stream to auto"
    )
  if found:
    dataset = image_arrays(found, valid_share=valid_share)
  elif kind == "synthetic":
    dataset = make_synthetic(rest, valid_share=valid_share)
  else:
    dataset = load_digits(valid_share=valid_share)
  _check_size(dataset, name, image_size)
  return dataset


def _check_size(dataset: Dataset, name: str, image_size: int):
  height, width, _ = dataset.input_shape
  if image_size and (height, width) != (image_size, image_size):
    raise ValueError(
      f"the images of {name} are {height}x{width}, but image_size is "
      f"{image_size}: set config.data.image_size to 0"
    )
