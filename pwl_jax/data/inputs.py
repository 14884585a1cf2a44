"""From examples as they are kept to what a network is fed, on the device.

Pixels are normalised per channel, samples brought to [-1, 1]; tokens stay.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pwl_jax.bundle.inputs import ImageInput, Input, SoundInput, TextInput
from pwl_jax.data import audio_changes, augment
from pwl_jax.data.augment import mixup, normalise
from pwl_jax.data.tokens import Tokenizer
from pwl_jax.method.checks import check_range

# The random changes that there are to each kind of input.
CHANGES = {
  "images": ("crop", "flip", "rotate", "cutout", "mixup_alpha"),
  "sounds": (
    *("shift", "gain", "frequency_masks", "frequency_mask"),
    *("time_masks", "time_mask", "mixup_alpha"),
  ),
  "texts": (),
}
LASTING = {"shift", "time_mask"}  # In seconds, until the rate is known.
_AUGMENT = {"images": augment.augment, "sounds": audio_changes.augment}


def to_network(raw: jax.Array, input: Input) -> jax.Array:
  """A batch of raw examples, as `input` describes them, as network inputs."""
  if isinstance(input, ImageInput):
    return normalise(raw, input.mean, input.deviation)
  if isinstance(input, SoundInput):
    return audio_changes.to_float(raw)
  return raw


def noise(input: Input, count: int, seed: int = 0) -> np.ndarray:
  """Raw examples of nothing, of different lengths where there are any."""
  rng, shape = np.random.default_rng(seed), (count, *input.shape)
  if isinstance(input, TextInput):
    known = Tokenizer(input.tokenizer, input.length).vocab_size
    tokens = rng.integers(1, known, shape, np.int32)
    lengths = rng.integers(1, input.length + 1, (count, 1))
    return np.where(np.arange(input.length) < lengths, tokens, 0)
  limits = np.iinfo(input.dtype)
  return rng.integers(limits.min, limits.max, shape, input.dtype, endpoint=True)


def changes_for(input: Input, given: Mapping[str, Any]) -> dict[str, Any]:
  """Of all random changes that are asked for, those of this kind of input."""
  found = {name: given[name] for name in CHANGES[input.kind] if name in given}
  if isinstance(input, SoundInput):
    for name in LASTING & found.keys():
      found[name] = _samples(name, found[name], input)
  return found


def _samples(name: str, seconds: float, input: SoundInput) -> int:
  """Of a change that lasts so long."""
  length = input.samples / input.sample_rate
  check_range(f"augment.{name}, in seconds,", seconds, 0, length)
  return round(seconds * input.sample_rate)


def make_prepare(
  input: Input,
  *,
  num_classes: int,
  label_smoothing: float = 0.0,
  mixup_alpha: float = 0.0,
  **changes,
):
  """Returns prepare(raw, labels, keys, key) -> inputs, targets [b, k].

  `changes` are keywords of `augment`, of images or of sounds; `keys` are one
  per example, `key` is one for the batch.
  """

  def prepare(raw, labels, keys, key):
    x = to_network(raw, input)
    if changes:
      x = _AUGMENT[input.kind](keys, x, **changes)
    targets = jax.nn.one_hot(labels, num_classes)
    targets = (1 - label_smoothing) * targets + label_smoothing / num_classes
    if mixup_alpha:
      x, targets = mixup(key, x, targets, alpha=mixup_alpha)
    return x, targets

  return prepare
