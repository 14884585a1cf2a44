"""Waveforms for the image families: a log-mel spectrogram before unit 0.

A waveform, float32[b, samples] in [-1, 1], becomes an image of one channel,
[b, frames, mels, 1], inside the first unit: everything behind that unit, and
all variables, are those of the image family.

  units = with_front_end(resnet(...), sample_rate=8000)
  units = audio_resnet(widths, depths, sample_rate=8000)  # The same.

The mel scale is Slaney's (linear below 1 kHz, logarithmic above), with
triangles of height 1. A window is scaled so that powers do not depend on its
length, and the floor under the logarithm makes silence an ordinary value.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.method.network import Network
from pwl_jax.models import inner
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vit import vit

NORMALISE = ("example", "fixed")
# The fixed normalisation: those of spoken digits, mostly silence.
MEAN, DEVIATION = 2.5, 3.7
MIN_DEVIATION = 0.1  # Silence has none.


@dataclasses.dataclass(frozen=True)  # So that a unit that has one is static.
class LogMel:
  """log_mel(waveforms): [b, samples] -> [b, ceil(samples / hop), mels, 1]."""

  sample_rate: int  # Samples in a second.
  mels: int = 40  # Bands, from low_hz to half of the sample rate.
  window_seconds: float = 0.032  # The length of a frame, under a Hann window.
  hop_seconds: float = 1 / 64  # From one frame to the next.
  low_hz: float = 20.0  # Where the lowest band starts.
  floor: float = 1e-9  # Of a power; that of the loudest sine is 1/4.
  # "example": mean 0 and deviation 1 of each example, so that loudness does
  # not count and silence is 0 everywhere. "fixed": the same shift and scale of
  # all, where silence is one constant.
  normalise: str = "example"

  def __call__(self, waveforms: jax.Array) -> jax.Array:
    if waveforms.ndim != 2 or not jnp.issubdtype(waveforms.dtype, jnp.floating):
      raise ValueError(
        f"waveforms are floating point of [b, samples], got {waveforms.dtype} "
        f"{list(waveforms.shape)}; divide 16-bit samples by 32768"
      )
    check_choice("normalise", self.normalise, NORMALISE)
    rate = self.sample_rate
    window = _samples("window_seconds", self.window_seconds, rate)
    hop = _samples("hop_seconds", self.hop_seconds, rate)
    bank = mel_bank(rate, window=window, mels=self.mels, low_hz=self.low_hz)
    frames = _frames(waveforms.astype(jnp.float32), window=window, hop=hop)
    spectrum = jnp.fft.rfft(frames * _hann(window))
    power = spectrum.real**2 + spectrum.imag**2  # [b, frames, window // 2 + 1]
    # In full: a product of rounded factors would cost the quiet bands.
    power = jnp.matmul(power, jnp.asarray(bank), precision="highest")
    # Of silence exactly 0.
    return _normalise(jnp.log1p(power / self.floor), self.normalise)[..., None]


def _samples(name: str, seconds: float, sample_rate: int) -> int:
  found = round(seconds * sample_rate)
  check_range(f"{name} times a sample_rate of {sample_rate}", found, 1)
  return found


def _frames(waveforms: jax.Array, *, window: int, hop: int) -> jax.Array:
  """[b, samples] -> [b, frames, window], with silence before and behind."""
  samples = waveforms.shape[1]
  if not samples:
    raise ValueError("a waveform of no samples has no spectrum; pad it")
  count = -(-samples // hop)
  missing = max(0, (count - 1) * hop + window - samples)
  pads = (missing // 2, missing - missing // 2)
  padded = jnp.pad(waveforms, ((0, 0), pads))
  return padded[:, hop * jnp.arange(count)[:, None] + jnp.arange(window)]


def _hann(window: int) -> np.ndarray:
  """The periodic one, of sum 1."""
  values = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(window) / window)
  return (values / values.sum()).astype(np.float32)


def mel_bank(
  sample_rate: int, *, window: int, mels: int, low_hz: float = 0.0
) -> np.ndarray:
  """float32[window // 2 + 1, mels], the weight of each frequency in a band."""
  check_range("mels", mels, 1)
  check_range("low_hz", low_hz, 0, sample_rate / 2)
  edges = _to_hertz(
    np.linspace(_to_mel(low_hz), _to_mel(sample_rate / 2), mels + 2)
  )
  hertz = np.arange(window // 2 + 1)[:, None] * sample_rate / window
  low, centre, high = edges[:-2], edges[1:-1], edges[2:]
  rise = (hertz - low) / (centre - low)
  fall = (high - hertz) / (high - centre)
  bank = np.maximum(0, np.minimum(rise, fall))
  if empty := (~bank.any(axis=0)).sum():
    raise ValueError(
      f"{empty} of {mels} bands lie between two frequencies of a window of "
      f"{window} samples at {sample_rate} Hz; use fewer mels, or a longer "
      "window"
    )
  return bank.astype(np.float32)


# Slaney's scale: 15 mels to 1 kHz, then 27 to each factor of 6.4.
def _to_mel(hertz):
  above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
  return np.where(hertz < 1000, 3 * hertz / 200, above)


def _to_hertz(mel):
  above = 1000 * 6.4 ** ((np.maximum(mel, 15) - 15) / 27)
  return np.where(mel < 15, 200 * mel / 3, above)


def _normalise(x: jax.Array, how: str) -> jax.Array:
  """[b, frames, mels]"""
  if how == "fixed":
    return (x - MEAN) / DEVIATION
  x = x - x.mean(axis=(1, 2), keepdims=True)
  deviation = jnp.sqrt(jnp.mean(x**2, axis=(1, 2), keepdims=True))
  return x / jnp.maximum(deviation, MIN_DEVIATION)


class WithFrontEnd(nn.Module):
  """A unit of images that takes waveforms; its variables are the unit's."""

  unit: nn.Module
  front_end: LogMel

  def setup(self):
    nn.share_scope(self, self.unit)

  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, samples] -> what the unit makes of [b, frames, mels, 1]."""
    return self.unit(self.front_end(x), train=train)

  def inner_channels(self) -> tuple[inner.Inner, ...]:
    return inner.inner_channels(self.unit)

  def narrowed(self, keep: inner.Keep) -> "WithFrontEnd":
    return self.clone(unit=inner.narrowed(self.unit, keep))


def sample_rate(network: Network) -> int | None:
  """What its spectrograms are made of; None where there are none."""
  front_end = getattr(network.units[0], "front_end", None)
  return front_end and front_end.sample_rate


def with_front_end(
  units: Sequence[nn.Module], *, sample_rate: int, **front_end
) -> tuple[nn.Module, ...]:
  """The units of an image family, the first of which takes waveforms.

  `front_end` are the other fields of `LogMel`.
  """
  first, *others = units
  if not others:  # A head is looked for in the fields of the last unit.
    raise ValueError(
      "a network of waveforms needs two units, one for the front end and one "
      "for the head; got 1"
    )
  return (WithFrontEnd(first, LogMel(sample_rate, **front_end)), *others)


def audio_resnet(
  widths: Sequence[int],
  depths: Sequence[int],
  *,
  sample_rate: int,
  front_end: dict | None = None,
  **options,
) -> tuple[nn.Module, ...]:
  """`resnet` of waveforms; `options` are its own."""
  units = resnet(widths, depths, **options)
  return with_front_end(units, sample_rate=sample_rate, **(front_end or {}))


def audio_vit(
  *, sample_rate: int, front_end: dict | None = None, **options
) -> tuple[nn.Module, ...]:
  """`vit` of waveforms; `options` are its own.

  Its patches, (height, width) in frames and mels, have to tile the
  spectrogram: 64 frames a second and 40 mels, unless told otherwise.
  """
  units = vit(**options)
  return with_front_end(units, sample_rate=sample_rate, **(front_end or {}))
