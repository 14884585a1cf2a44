"""Data sets by name.

digits              the embedded handwritten digits, 8x8
tfds:NAME           a TFDS set in ArrayRecord form, such as tfds:cifar10
arrays:PATH         an .npz with x and y; x are images, or strings
synthetic[:SIZES]   noise, such as synthetic:1024x32x32x3/10
"""

from pwl_jax.data import kinds
from pwl_jax.data.arrays import load_arrays, make_synthetic
from pwl_jax.data.dataset import Dataset
from pwl_jax.data.digits import load_digits
from pwl_jax.data.strings import load_string_arrays, load_strings
from pwl_jax.data.tfds import STREAM, load_tfds
from pwl_jax.data.waves import load_waves
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
  tokens: int = 64,
  vocabulary: int = 8000,
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
    tokens: of a text.
    vocabulary: at most so many different tokens.
    seconds: of a sound.
  """
  kind, _, rest = name.partition(":")
  check_choice("data set", kind, KINDS, otherwise="tfds:NAME for a TFDS set")
  check_choice("stream", stream, STREAM)
  if image_size < 0 or workers < -1:
    raise ValueError(
      f"image_size is {image_size} and workers is {workers}; the first may "
      "not be below 0, the second not below -1"
    )
  other = kinds.of_tfds(rest, data_dir) if kind == "tfds" else None
  if kind == "arrays" and kinds.has_strings(rest):
    other = "texts"
  if other == "texts":
    return kinds.text_dataset(
      name,
      load_string_arrays(rest)
      if kind == "arrays"
      else load_strings(rest, data_dir=data_dir),
      length=tokens,
      vocabulary=vocabulary,
      valid_share=valid_share,
    )
  if other == "sounds":
    return kinds.sound_dataset(
      name,
      load_waves(rest, data_dir=data_dir, seconds=seconds),
      valid_share=valid_share,
    )
  if kind == "tfds":
    return load_tfds(
      rest,
      data_dir=data_dir,
      valid_share=valid_share,
      image_size=image_size,
      stream=stream,
      workers=workers,
      cache_dir=cache_dir,
    )
  if stream == "yes":
    raise ValueError(
      f"{name} is always in memory, only TFDS sets are streamed: set "
      "config.data.stream to auto"
    )
  if kind == "arrays":
    dataset = load_arrays(rest, valid_share=valid_share)
  elif kind == "synthetic":
    dataset = make_synthetic(rest, valid_share=valid_share)
  else:
    dataset = load_digits(valid_share=valid_share)
  height, width, _ = dataset.input_shape
  if image_size and (height, width) != (image_size, image_size):
    raise ValueError(
      f"the images of {name} are {height}x{width}, but image_size is "
      f"{image_size}: set config.data.image_size to 0"
    )
  return dataset
