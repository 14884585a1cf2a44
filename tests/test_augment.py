"""Random changes to images: what they may do, and what they depend on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.bundle.inputs import ImageInput
from pwl_jax.data import augment as aug
from pwl_jax.data.inputs import make_prepare

IMAGES = np.random.default_rng(0).normal(size=(64, 9, 8, 2)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), len(IMAGES))


@functools.cache
def changed(**options):
  run = jax.jit(functools.partial(aug.augment, **options))
  return np.asarray(run(KEYS, IMAGES))


def test_nothing_asked_is_nothing_done():
  assert (aug.augment(KEYS, IMAGES) == IMAGES).all()


def test_a_flip_mirrors_half_of_the_images():
  mirrored = IMAGES[:, :, ::-1]
  flipped = (changed(flip=True) == mirrored).all((1, 2, 3))
  kept = (changed(flip=True) == IMAGES).all((1, 2, 3))
  assert (flipped ^ kept).all() and 16 < flipped.sum() < 48


def test_a_crop_is_a_window_of_the_reflected_image():
  padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
  places = set()
  for image, source in zip(changed(crop=2), padded, strict=True):
    found = [
      (i, j)
      for i in range(5)
      for j in range(5)
      if (source[i : i + 9, j : j + 8] == image).all()
    ]
    assert len(found) == 1
    places |= set(found)
  assert len(places) > 20


def test_a_cutout_zeroes_one_square():
  zeros = (changed(cutout=4) == 0).all(-1)
  assert zeros.any((1, 2)).all()
  for mask in zeros:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask.sum() == len(rows) * len(columns) <= 16
    for line in (rows, columns):  # Without gaps, and cut off only by the rim.
      assert len(line) == line[-1] - line[0] + 1 <= 4
  assert (zeros.sum((1, 2)) == 16).any()


def test_a_rotation_is_about_the_centre_and_bounded():
  side = np.arange(9) - 4.0
  radius = np.hypot(*np.meshgrid(side, side))
  rings = jnp.asarray(np.cos(radius / 2)[None, :, :, None], jnp.float32)
  rotated = aug.augment(KEYS[:1], rings, rotate=180.0)
  inside = (radius <= 4)[None, :, :, None]
  assert np.abs(np.asarray(rotated - rings))[inside].max() < 0.06
  slope = jnp.broadcast_to(
    jnp.asarray(side)[None, None, :, None], (64, 9, 9, 1)
  )
  turned = np.asarray(aug.augment(KEYS, slope, rotate=20.0))
  rise = turned[:, 5, 4, 0] - turned[:, 4, 4, 0]  # The sine of the angle.
  angles = np.rad2deg(np.arcsin(rise))
  assert np.abs(angles).max() <= 20.01
  assert angles.min() < -15 and angles.max() > 15


def test_an_example_is_changed_alike_wherever_it_stands():
  options = dict(crop=2, flip=True, rotate=15.0, cutout=3)
  part = aug.augment(KEYS[32:40], IMAGES[32:40], **options)
  np.testing.assert_allclose(part, changed(**options)[32:40], atol=1e-5)


def test_normalised_images_have_mean_zero_and_deviation_one():
  images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 2), np.uint8)
  mean, deviation = (
    (images / 255).mean((0, 1, 2)),
    (images / 255).std((0, 1, 2)),
  )
  found = np.asarray(aug.normalise(images, mean, deviation))
  np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(found.std((0, 1, 2)), 1, atol=1e-5)


def test_targets_are_smoothed_and_blended_as_the_images():
  prepare = make_prepare(
    ImageInput((1, 1, 1), (0.5,), (0.25,), "exact"),
    num_classes=4,
    label_smoothing=0.2,
    mixup_alpha=0.4,
  )
  images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
  labels = jnp.arange(8) % 4
  found, targets = prepare(images, labels, KEYS[:8], jax.random.key(3))
  np.testing.assert_allclose(targets.sum(-1), np.ones(8), rtol=1e-6)
  plain = 0.8 * np.eye(4)[labels] + 0.05
  share = (targets[0, 0] - plain[7, 0]) / (plain[0, 0] - plain[7, 0])
  blended = share * images + (1 - share) * images[::-1]
  np.testing.assert_allclose(found, (blended / 255 - 0.5) / 0.25, atol=1e-5)
  expected = share * plain + (1 - share) * plain[::-1]
  np.testing.assert_allclose(targets, expected, atol=1e-5)


@pytest.mark.parametrize("options", [dict(crop=8), dict(cutout=9)])
def test_images_too_small_for_a_change_are_refused(options):
  with pytest.raises(ValueError, match="9x8 are too small"):
    aug.augment(KEYS, IMAGES, **options)
