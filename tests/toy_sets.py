"""Small TFDS sets of images, written as TFDS writes them."""

import io

import numpy as np
import PIL.Image

from pwl_jax.data.sources import load_dataset
from tests import toy_texts_and_waves
from tests.toy_texts_and_waves import FEATURES, label

CLASSES = 3


def encoded(image, form="PNG", **options):
  """Bytes of an image file; of a Pillow image or an array."""
  if isinstance(image, np.ndarray):
    image = PIL.Image.fromarray(image.squeeze())
  buffer = io.BytesIO()
  image.save(buffer, form, **options)
  return buffer.getvalue()


def write_set(data_dir, splits, *, shape=(6, 5, 3), shards=1, form=None):
  """A set named toy; `splits` are images, as arrays or bytes, and labels."""
  described = {
    "pythonClassName": f"{FEATURES}.image_feature.Image",
    "image": {
      "shape": {"dimensions": [str(n or -1) for n in shape]},
      "dtype": "uint8",
      "encodingFormat": "png",
    },
  }
  rows = {
    split: [
      {
        "image": image if isinstance(image, bytes) else encoded(image),
        "label": int(number),
      }
      for image, number in zip(images, labels, strict=True)
    ]
    for split, (images, labels) in splits.items()
  }
  folder = toy_texts_and_waves.write_set(
    data_dir,
    rows,
    {"image": described, "label": label(CLASSES)},
    inputs="image",
    shards=shards,
    form=form or "array_record",
  )
  names = "".join(f"class {i}\n" for i in range(CLASSES))
  (folder / "label.labels.txt").write_text(names)
  return folder


def drawn(n, seed, shape=(6, 5, 3)):
  """Noise and its labels."""
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (n, *shape), np.uint8)
  return images, [int(i) for i in rng.integers(0, CLASSES, n)]


def load(data_dir, **options):
  return load_dataset("tfds:toy:1.0.0", data_dir=str(data_dir), **options)
