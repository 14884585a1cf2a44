"""Sets of images from a file of arrays, and of noise for benchmarks."""

import numpy as np

from pwl_jax.data.dataset import Dataset, Split, make_dataset
from pwl_jax.data.examples import Labelled
from pwl_jax.data.npz import Npz


def image_arrays(found: Npz, *, valid_share: float = 0.1) -> Dataset:
  """Images, uint8 [n, h, w, c] or [n, h, w]."""
  test = None if found.test is None else _split(found.test)
  return make_dataset(
    found.path.stem, _split(found.train), test, valid_share=valid_share
  )


def _split(part: Labelled) -> Split:
  images, labels = part
  return Split(images[..., None] if images.ndim == 3 else images, labels)


def make_synthetic(spec: str = "", *, valid_share: float = 0.1) -> Dataset:
  """Noise of "NxHxWxC/K": N images, K classes; "1024x32x32x3/10" by default."""
  spec = spec or "1024x32x32x3/10"
  try:
    sizes, classes = spec.split("/")
    n, h, w, c = map(int, sizes.split("x"))
    num_classes = int(classes)
    if min(n, h, w, c, num_classes) < 1:
      raise ValueError
  except ValueError:
    raise ValueError(
      f"synthetic data of {spec!r}: write NxHxWxC/K, images, height, width, "
      "channels and classes, each at least 1, such as 1024x32x32x3/10"
    ) from None
  rng = np.random.default_rng(0)

  def draw(count):
    images = rng.integers(0, 256, (count, h, w, c), np.uint8)
    return Split(images, rng.integers(0, num_classes, count, np.int32))

  return make_dataset(
    "synthetic",
    draw(n),
    draw(max(1, n // 4)),
    class_names=[str(i) for i in range(num_classes)],
    valid_share=valid_share,
  )
