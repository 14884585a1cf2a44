"""What a request may bring, and what the first unit gets of it.

Networks that were trained on images of many sizes cut the middle out of each
and resize it; the same is done here, one by one, on the host. An image that
already has the size is taken as it is.
"""

from collections.abc import Sequence

import numpy as np

from pwl_jax.bundle.manifest import Input

Images = np.ndarray | Sequence[np.ndarray]


def as_batch(images: Images, input: Input) -> np.ndarray:
  """uint8[b, h, w, c] of the size of `input`; raises where it cannot be."""
  cuts = input.resize == "centre"
  if not (cuts and isinstance(images, (list, tuple))):
    images = np.asarray(images)
    _check(images, (None, *input.image), cuts)
  if not len(images):
    raise ValueError("the batch has no images; give at least one")
  if isinstance(images, np.ndarray) and images.shape[1:] == tuple(input.image):
    return images
  return np.stack([_view(np.asarray(image), input) for image in images])


def _view(image: np.ndarray, input: Input) -> np.ndarray:
  """Of one image, as the evaluation saw it."""
  size, _, channels = input.image
  _check(image, input.image, cuts=True)
  if image.shape == tuple(input.image):
    return image
  from PIL import Image  # Slow to import, and not always needed.

  from pwl_jax.data import views

  pixels = image[:, :, 0] if channels == 1 else image
  return views.centre_view(Image.fromarray(pixels), size, channels=channels)


def _check(images: np.ndarray, shape: Sequence[int | None], cuts: bool):
  """`shape` is [b, h, w, c] or [h, w, c]; None allows any number."""
  *batch, height, width, channels = shape
  allowed = [*batch, *((None, None) if cuts else (height, width)), channels]
  fits = images.ndim == len(allowed) and all(
    size in (None, found)
    for size, found in zip(allowed, images.shape, strict=True)
  )
  if images.dtype != np.uint8 or not fits or 0 in images.shape[-3:]:
    names = ["b", "h", "w", "c"][-len(allowed) :]
    told = [
      name if size is None else str(size)
      for name, size in zip(names, allowed, strict=True)
    ]
    raise ValueError(
      f"images are {images.dtype}{list(images.shape)}; give pixels as they "
      f"come, uint8[{', '.join(told)}]"
    )
