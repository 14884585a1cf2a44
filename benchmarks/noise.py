"""What the networks of a preset are fed in benchmarks: noise of its kind."""

import numpy as np

from pwl_jax import models
from pwl_jax.bundle.inputs import ImageInput, Input, SoundInput, TextInput
from pwl_jax.data.dataset import Dataset, Split, make_dataset
from pwl_jax.data.inputs import noise
from pwl_jax.data.tokens import MIN_VOCAB_SIZE, train_tokenizer


def input_of(name: str) -> Input:
  """What one example of a preset is."""
  preset = models.PRESETS[name]
  shape = preset.input_shape
  if preset.input_dtype == "int32":
    # Any tokens will do: all of them take the same time.
    tokenizer = train_tokenizer(["a fine film"], vocab_size=MIN_VOCAB_SIZE)
    return TextInput(*shape, tokenizer)
  if len(shape) == 1:
    return SoundInput(*shape, preset.common["sample_rate"])
  channels = shape[-1]
  return ImageInput(shape, (0.5,) * channels, (0.25,) * channels, "exact")


def dataset_of(name: str, count: int) -> Dataset:
  """So many examples with labels."""
  given, classes = input_of(name), models.PRESETS[name].num_classes
  labels = np.random.default_rng(1).integers(0, classes, count, np.int32)
  return make_dataset(
    name,
    Split(noise(given, count), labels),
    class_names=tuple(map(str, range(classes))),
    input=given,
  )
