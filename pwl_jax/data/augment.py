"""Random changes to a batch, on the device, from one key per example.

Images are float [b, h, w, c]; keys are drawn per example of the global batch,
so that a batch is changed alike however many devices share it.
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy import ndimage


def normalise(images: jax.Array, mean, deviation) -> jax.Array:
  """uint8 pixels -> float32 of mean 0 and deviation 1 per channel."""
  images = images.astype(jnp.float32) / 255
  return (images - jnp.asarray(mean)) / jnp.asarray(deviation)


def augment(
  keys: jax.Array,
  images: jax.Array,
  *,
  crop: int = 0,
  flip: bool = False,
  rotate: float = 0.0,
  cutout: int = 0,
) -> jax.Array:
  """Each example by a key of its own, in the order of the arguments.

  Args:
    keys: one per example.
    images: [b, h, w, c], normalised, so that zero is the mean colour.
    crop: pixels of reflected border from which an image is cropped again.
    flip: left to right, half of the time.
    rotate: at most so many degrees either way.
    cutout: side of a square set to zero.
  """
  height, width = images.shape[1:3]
  if crop >= min(height, width) or cutout > min(height, width):
    raise ValueError(
      f"images of {height}x{width} are too small for a crop border of {crop} "
      f"and a cutout of {cutout} pixels; the border must be smaller than a "
      "side, and the cutout at most a side"
    )
  changes = []
  if crop:
    changes.append(functools.partial(_crop, border=crop))
  if flip:
    changes.append(_flip)
  if rotate:
    changes.append(functools.partial(_rotate, degrees=rotate))
  if cutout:
    changes.append(functools.partial(_cutout, side=cutout))

  def one(key, image):
    for i, change in enumerate(changes):
      image = change(jax.random.fold_in(key, i), image)
    return image

  return jax.vmap(one)(keys, images) if changes else images


def mixup(
  key: jax.Array, images: jax.Array, targets: jax.Array, *, alpha: float
) -> tuple[jax.Array, jax.Array]:
  """Blends every example with its mirror in the batch, targets alike.

  The share is drawn once, from Beta(alpha, alpha).
  """
  share = jax.random.beta(key, alpha, alpha)
  return tuple(share * a + (1 - share) * a[::-1] for a in (images, targets))


def _crop(key, image, *, border):
  height, width, channels = image.shape
  padded = jnp.pad(
    image, ((border, border), (border, border), (0, 0)), mode="reflect"
  )
  row, column = jax.random.randint(key, (2,), 0, 2 * border + 1)
  return jax.lax.dynamic_slice(
    padded, (row, column, 0), (height, width, channels)
  )


def _flip(key, image):
  return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def _rotate(key, image, *, degrees):
  """About the centre; outside the image lies its nearest pixel."""
  angle = jnp.deg2rad(
    jax.random.uniform(key, (), minval=-degrees, maxval=degrees)
  )
  height, width, _ = image.shape
  row, column = jnp.meshgrid(
    jnp.arange(height) - (height - 1) / 2,
    jnp.arange(width) - (width - 1) / 2,
    indexing="ij",
  )
  source = [
    jnp.cos(angle) * row - jnp.sin(angle) * column + (height - 1) / 2,
    jnp.sin(angle) * row + jnp.cos(angle) * column + (width - 1) / 2,
  ]
  sample = functools.partial(
    ndimage.map_coordinates, coordinates=source, order=1, mode="nearest"
  )
  return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)


def _cutout(key, image, *, side):
  height, width, _ = image.shape
  row, column = (
    jax.random.randint(k, (), 0, size)
    for k, size in zip(jax.random.split(key), (height, width), strict=True)
  )
  rows, columns = (
    (jnp.arange(size) - center + side // 2) // side == 0
    for size, center in ((height, row), (width, column))
  )
  return jnp.where((rows[:, None] & columns)[..., None], 0, image)
