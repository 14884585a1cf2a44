"""What is asked about: test images of the bundle's own data set, or noise.

Demonstrating must work on a machine that has the bundle and nothing else, so
a set that is not there is said, and noise takes its place.
"""

import textwrap
from typing import Any, NamedTuple

import numpy as np

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.data.dataset import Split
from pwl_jax.data.sources import load_dataset

MOST = 2048  # Of a set that is decoded as it is needed.
NOISE = 256


class Examples(NamedTuple):
  """Images, and what is right where that is known."""

  name: str
  images: np.ndarray  # uint8[n, h, w, c]
  labels: np.ndarray | None  # int[n]
  note: str  # What to know about them; "" if there is nothing.


def load(
  manifest: Manifest, *, data: str | None = None, data_dir: str | None = None
) -> Examples:
  """Test images; noise where the set of the bundle is not to be had.

  Args:
    manifest: of the bundle; it names the set it was made of.
    data: another set, which has to be there.
    data_dir: where it lies.
  """
  config = manifest.config
  name = data or config.get("data.name")
  try:
    if not name:
      raise ValueError("the bundle names no data set; --data=NAME does")
    dataset = load_dataset(
      name,
      data_dir=data_dir or config.get("data.data_dir") or None,
      cache_dir=config.get("data.cache_dir") or None,
      valid_share=config.get("data.valid_share", 0.1),
      image_size=config.get("data.image_size", 0),
      stream=config.get("data.stream", "auto"),
      workers=0,
    )
    split = _shuffled(dataset.test)
    _check(name, manifest, dataset, split)
  except Exception as error:  # Data sets fail in many ways.
    if data or data_dir:
      raise ValueError(_in_one_line(error)) from error
    reason = _in_one_line(error)
    note = f"no test images ({reason}); noise instead, without accuracy"
    return noise(manifest, note)
  expected = config.get("data.fingerprint")
  is_other = not data and expected not in (None, dataset.fingerprint)
  note = "these are not the images that the bundle was tested on"
  return Examples(name, split.inputs, split.labels, note if is_other else "")


def noise(manifest: Manifest, note: str = "") -> Examples:
  shape = NOISE, *manifest.input.image
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  return Examples("noise", images, None, note)


def _shuffled(test: Any) -> Split:
  """In memory, and not sorted by classes."""
  rows = np.random.default_rng(0).permutation(len(test))
  if isinstance(test, Split):
    return test.take(rows)
  return test.take(np.sort(rows[:MOST])).sample(MOST)


def _check(name: str, manifest: Manifest, dataset: Any, split: Split):
  image, classes = manifest.input.image, len(manifest.class_names)
  if split.input_shape != tuple(image):
    raise ValueError(
      f"the images of {name} are {list(split.input_shape)}, and the bundle "
      f"takes {list(image)}; give the --data it was made of"
    )
  if classes and dataset.num_classes != classes:
    raise ValueError(
      f"{name} has {dataset.num_classes} classes, and the bundle {classes}; "
      "give the --data it was made of"
    )


def _in_one_line(error: Exception) -> str:
  text = str(error) or type(error).__name__
  return textwrap.shorten(text, 200, placeholder=" ...")
