"""From examples as they are kept to what a network is fed, on the device.

Pixels are normalised per channel, samples brought to [-1, 1]; tokens stay.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np

from pwl_jax.bundle.parts import ImageInput, Input, SoundInput, TextInput
from pwl_jax.data.augment import normalise

FULL_SCALE = 2**15  # Of int16 samples.


def to_network(raw: jax.Array, input: Input) -> jax.Array:
  """A batch of raw examples, as `input` describes them, as network inputs."""
  if isinstance(input, ImageInput):
    return normalise(raw, input.mean, input.deviation)
  if isinstance(input, SoundInput):
    return raw.astype(jnp.float32) / FULL_SCALE
  return raw


def noise(input: Input, count: int, seed: int = 0) -> np.ndarray:
  """Raw examples of nothing, of different lengths where there are any."""
  rng, shape = np.random.default_rng(seed), (count, *input.shape)
  if isinstance(input, TextInput):
    known = len(json.loads(input.tokenizer)["model"]["vocab"])
    tokens = rng.integers(1, known, shape, np.int32)
    lengths = rng.integers(1, input.length + 1, (count, 1))
    return np.where(np.arange(input.length) < lengths, tokens, 0)
  limits = np.iinfo(input.dtype)
  return rng.integers(limits.min, limits.max, shape, input.dtype, endpoint=True)
