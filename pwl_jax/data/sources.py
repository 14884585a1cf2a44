"""Data sets by name.

digits              the embedded handwritten digits, 8x8
tfds:NAME           a TFDS set in ArrayRecord form, such as tfds:cifar10
arrays:PATH         an .npz with x and y; x are images, strings, or sounds
synthetic[:SIZES]   noise, such as synthetic:1024x32x32x3/10
"""

from typing import NamedTuple

from pwl_jax.data.arrays import image_arrays, make_synthetic
from pwl_jax.data.dataset import Dataset
from pwl_jax.data.digits import load_digits
from pwl_jax.data.kinds import of_tfds, sound_dataset, text_dataset
from pwl_jax.data.npz import Npz, read_npz
from pwl_jax.data.strings import load_strings, string_arrays
from pwl_jax.data.tfds import STREAM, load_tfds
from pwl_jax.data.tokens import MIN_VOCAB_SIZE
from pwl_jax.data.waves import load_waves, wave_arrays
from pwl_jax.method.checks import check_choice, check_range

KINDS = ("digits", "tfds", "arrays", "synthetic")


class Options(NamedTuple):
  """Of a set; each kind has its own, and leaves those of others alone."""

  # Where TFDS sets lie; TFDS's own default if None.
  data_dir: str | None = None
  train_split: str = "train"  # Of a TFDS set.
  valid_share: float = 0.1  # Of the training split, held out for validation.
  # Of images: the side of those of a stream, 0 if they are as they are.
  image_size: int = 0
  # "yes", "no", or "auto" for TFDS sets that are large or whose images differ
  # in size.
  stream: str = "auto"
  # Processes that decode a stream while it is trained on; 0 for threads, -1
  # for what suits the number of CPUs.
  workers: int = -1
  # Where decoded TFDS sets are kept; beside the data if None.
  cache_dir: str | None = None
  tokens: int = 64  # Of a text; longer ones are cut.
  vocabulary: int = 8000  # At most so many different tokens are learnt.
  tokenizer: str = ""  # Of a tokenizer.json; learnt where it is empty.
  # Of a sound; longer ones are cut, shorter ones are followed by silence.
  seconds: float = 1.0
  sample_rate: int = 0  # Of sounds that do not tell it.

  def check(self):
    """Raises where one makes no sense whatever the set is."""
    check_choice("stream", self.stream, STREAM)
    for name, low in (
      ("image_size", 0),
      ("workers", -1),
      ("tokens", 2),
      ("vocabulary", MIN_VOCAB_SIZE),
      ("sample_rate", 0),
    ):
      check_range(f"data.{name}", getattr(self, name), low)


def load_dataset(name: str, **options) -> Dataset:
  """Loads a set into memory, or opens it as a stream.

  `name` is as above, `options` are fields of `Options`.
  """
  given = Options(**options)
  given.check()
  kind, _, rest = name.partition(":")
  check_choice("data set", kind, KINDS, otherwise="tfds:NAME for a TFDS set")
  found = read_npz(rest) if kind == "arrays" else None
  examples = found.kind if found else "images"
  if kind == "tfds":
    examples = of_tfds(rest, given.data_dir)
  split = dict(data_dir=given.data_dir, train_split=given.train_split)
  if examples == "texts":
    return text_dataset(
      name,
      string_arrays(found) if found else load_strings(rest, **split),
      length=given.tokens,
      vocabulary=given.vocabulary,
      tokenizer=given.tokenizer,
      valid_share=given.valid_share,
    )
  if examples == "sounds":
    sizes = dict(seconds=given.seconds, sample_rate=given.sample_rate)
    waves = (
      wave_arrays(found, **sizes)
      if found
      else load_waves(rest, **sizes, **split)
    )
    return sound_dataset(name, waves, valid_share=given.valid_share)
  if kind == "tfds":
    return load_tfds(
      rest,
      valid_share=given.valid_share,
      image_size=given.image_size,
      stream=given.stream,
      workers=given.workers,
      cache_dir=given.cache_dir,
      **split,
    )
  return _in_memory(name, kind, rest, found, given)


def _in_memory(
  name: str, kind: str, rest: str, found: Npz | None, given: Options
) -> Dataset:
  """Images that are small, or of which there are few."""
  if given.stream == "yes":
    raise ValueError(
      f"{name} is always in memory, only TFDS sets are streamed: set "
      "config.data.stream to auto"
    )
  if found:
    dataset = image_arrays(found, valid_share=given.valid_share)
  elif kind == "synthetic":
    dataset = make_synthetic(rest, valid_share=given.valid_share)
  else:
    dataset = load_digits(valid_share=given.valid_share)
  height, width, _ = dataset.input_shape
  size = given.image_size
  if size and (height, width) != (size, size):
    raise ValueError(
      f"the images of {name} are {height}x{width}, but image_size is {size}: "
      "set config.data.image_size to 0"
    )
  return dataset
