"""Random changes to waveforms: what they may do, what they depend on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.data import audio_changes as changes

SAMPLES = 200
WAVES = np.random.default_rng(0).normal(size=(64, SAMPLES)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), len(WAVES))


@functools.cache
def changed(**options):
  run = jax.jit(functools.partial(changes.augment, **options))
  return np.asarray(run(KEYS, WAVES))


def stretches(mask):
  """The lengths of the unbroken stretches of True in a row."""
  edges = np.diff(np.concatenate([[0], mask, [0]]).astype(int))
  return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)


def test_nothing_asked_is_nothing_done():
  assert (changes.augment(KEYS, WAVES) == WAVES).all()
  nothing = changes.augment(KEYS, WAVES, time_masks=3, frequency_masks=3)
  assert (nothing == WAVES).all()


def test_a_shift_moves_silence_in():
  found = set()
  for wave, source in zip(changed(shift=10), WAVES, strict=True):
    moved = [
      by
      for by in range(-10, 11)
      if (
        np.roll(source, by)[max(by, 0) : SAMPLES + min(by, 0)]
        == wave[max(by, 0) : SAMPLES + min(by, 0)]
      ).all()
    ]
    assert len(moved) == 1
    (by,) = moved
    outside = wave[:by] if by > 0 else wave[SAMPLES + by :]
    assert (outside == 0).all()
    found.add(by)
  assert len(found) > 12 and min(found) < -5 and max(found) > 5


def test_a_gain_is_one_factor_within_its_decibels():
  factors = changed(gain=6.0) / WAVES
  np.testing.assert_allclose(
    factors, np.broadcast_to(factors[:, :1], factors.shape), rtol=1e-5
  )
  decibels = 20 * np.log10(factors[:, 0])
  assert np.abs(decibels).max() <= 6.001
  assert decibels.min() < -4 and decibels.max() > 4


def test_time_masks_silence_stretches_and_leave_the_rest():
  found = changed(time_masks=2, time_mask=30)
  silent = found == 0
  assert (found == np.where(silent, 0, WAVES)).all()
  lengths = [stretches(mask) for mask in silent]
  assert all(len(some) <= 2 and some.sum() <= 60 for some in lengths)
  one = [stretches(m) for m in changed(time_masks=1, time_mask=30) == 0]
  assert all(len(some) <= 1 and some.sum() <= 30 for some in one)
  assert max(some.sum() for some in one) > 25
  assert silent[:, :3].any() and silent[:, -3:].any()  # Up to the rims.


def test_frequency_masks_take_bands_out_and_leave_the_rest():
  before = np.fft.rfft(WAVES)
  after = np.fft.rfft(changed(frequency_masks=1, frequency_mask=0.2))
  gone = np.abs(after) < 1e-4
  # What is real alone in both: the outermost frequencies.
  np.testing.assert_allclose(after, np.where(gone, 0, before), atol=1e-3)
  lengths = [stretches(mask) for mask in gone]
  assert all(len(some) <= 1 and some.sum() <= 20 for some in lengths)
  assert max(some.sum() for some in lengths) > 15
  two = np.abs(np.fft.rfft(changed(frequency_masks=2, frequency_mask=0.2)))
  assert max(len(stretches(mask)) for mask in two < 1e-4) == 2


@pytest.mark.parametrize("samples", [199, 1])
def test_any_number_of_samples_will_do(samples):
  found = changes.augment(
    KEYS, WAVES[:, :samples], frequency_masks=1, frequency_mask=0.5
  )
  assert found.shape == (64, samples) and np.isfinite(found).all()


ALL = dict(
  shift=20,
  gain=6.0,
  frequency_masks=2,
  frequency_mask=0.1,
  time_masks=2,
  time_mask=20,
)


def test_an_example_is_changed_alike_wherever_it_stands():
  part = changes.augment(KEYS[32:40], WAVES[32:40], **ALL)
  np.testing.assert_allclose(part, changed(**ALL)[32:40], atol=1e-5)


def test_silence_stays_silent():
  found = changes.augment(KEYS, jnp.zeros_like(WAVES), **ALL)
  assert (np.asarray(found) == 0).all()


def test_samples_of_16_bits_become_parts_of_the_full_scale():
  found = changes.to_float(jnp.asarray([[-32768, 0, 16384]], jnp.int16))
  assert found.dtype == jnp.float32 and found.tolist() == [[-1, 0, 0.5]]


@pytest.mark.parametrize(
  "options,message",
  [
    (dict(shift=SAMPLES), "shift is 200.*below 200"),
    (dict(time_masks=1, time_mask=SAMPLES), "time_mask is 200.*below 200"),
    (dict(frequency_masks=1, frequency_mask=1.0), "frequency_mask is 1.0"),
    (dict(time_masks=-1), "time_masks is -1"),
    (dict(gain=-3.0), "gain is -3.0"),
  ],
)
def test_changes_beyond_the_waveform_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    changes.augment(KEYS, WAVES, **options)
