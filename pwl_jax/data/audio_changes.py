"""Random changes to waveforms, on the device, from one key per example.

Waveforms are float [b, samples], zero being silence; keys are drawn per
example of the global batch, so that a batch is changed alike however many
devices share it. All changes are made to the samples, in front of any
spectrogram: teacher and student hear the same.
"""

import functools

import jax
import jax.numpy as jnp

from pwl_jax.method.checks import check_range

FULL_SCALE = 32768  # Of 16-bit samples.


def to_float(waves: jax.Array) -> jax.Array:
  """int16 samples -> float32 in [-1, 1)."""
  return waves.astype(jnp.float32) / FULL_SCALE


def augment(
  keys: jax.Array,
  waves: jax.Array,
  *,
  shift: int = 0,
  gain: float = 0.0,
  frequency_masks: int = 0,
  frequency_mask: float = 0.0,
  time_masks: int = 0,
  time_mask: int = 0,
) -> jax.Array:
  """Each example by a key of its own, in the order of the arguments.

  Args:
    keys: one per example.
    waves: [b, samples].
    shift: at most so many samples earlier or later, silence moving in.
    gain: at most so many dB louder or softer.
    frequency_masks: bands that are taken out, each of them over all time.
    frequency_mask: the widest band, as a share of all frequencies.
    time_masks: stretches that are silenced.
    time_mask: the longest stretch, in samples.
  """
  samples = waves.shape[-1]
  check_range("shift", shift, 0, samples)
  check_range("gain", gain, 0)
  check_range("frequency_masks", frequency_masks, 0)
  check_range("frequency_mask", frequency_mask, 0, 1)
  check_range("time_masks", time_masks, 0)
  check_range("time_mask", time_mask, 0, samples)
  changes = []
  if shift:
    changes.append(functools.partial(_shift, limit=shift))
  if gain:
    changes.append(functools.partial(_gain, decibels=gain))
  widest = round(frequency_mask * _num_frequencies(samples))
  if frequency_masks and widest:
    changes.append(
      functools.partial(_mask_bands, count=frequency_masks, widest=widest)
    )
  if time_masks and time_mask:
    changes.append(
      functools.partial(_mask_times, count=time_masks, longest=time_mask)
    )

  def one(key, wave):
    for i, change in enumerate(changes):
      wave = change(jax.random.fold_in(key, i), wave)
    return wave

  return jax.vmap(one)(keys, waves) if changes else waves


def _shift(key, wave, *, limit):
  start = jax.random.randint(key, (), 0, 2 * limit + 1)
  return jax.lax.dynamic_slice(jnp.pad(wave, limit), (start,), wave.shape)


def _gain(key, wave, *, decibels):
  drawn = jax.random.uniform(key, (), minval=-decibels, maxval=decibels)
  return wave * 10 ** (drawn / 20)


def _num_frequencies(samples: int) -> int:
  return samples // 2 + 1


def _mask_bands(key, wave, *, count, widest):
  """Bands of the whole waveform's spectrum, so that none of them leaks."""
  (samples,) = wave.shape
  masked = _stretches(key, _num_frequencies(samples), count, widest)
  spectrum = jnp.where(masked, 0, jnp.fft.rfft(wave))
  return jnp.fft.irfft(spectrum, samples).astype(wave.dtype)


def _mask_times(key, wave, *, count, longest):
  return jnp.where(_stretches(key, wave.shape[0], count, longest), 0, wave)


def _stretches(key, size, count, longest):
  """bool[size]: so many stretches, each of 0 to `longest`, anywhere inside."""
  length_key, start_key = jax.random.split(key)
  lengths = jax.random.randint(length_key, (count, 1), 0, longest + 1)
  starts = jax.random.randint(start_key, (count, 1), 0, size - lengths + 1)
  places = jnp.arange(size)
  return ((places >= starts) & (places < starts + lengths)).any(0)
