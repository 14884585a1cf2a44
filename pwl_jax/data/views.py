"""What a network sees of an encoded image, as uint8[h, w, c].

  whole        all of it, where every image has one size
  centre_view  for evaluation: the middle of it
  random_view  for training: some part of it, maybe mirrored

A part is cut out and resized in one go, and a JPEG is decoded no larger than
that part needs.
"""

import math

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB"}  # Channels -> Pillow's name for them.
CENTRE_SHARE = 0.875  # Of the short side: 224 of 256.
AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
TRIES = 10


def whole(image: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
  height, width, channels = shape
  if image.size != (width, height):
    raise ValueError(
      f"it has {image.height}x{image.width} pixels where the set promises "
      f"{height}x{width}"
    )
  pixels = np.asarray(_in_colours(image, channels))
  return pixels.reshape(shape)


def centre_view(
  image: Image.Image, size: int, *, channels: int = 3
) -> np.ndarray:
  """The short side resized to size / 0.875, and the middle of that."""
  side = CENTRE_SHARE * min(image.size)
  left, top = ((length - side) / 2 for length in image.size)
  box = (left, top, left + side, top + side)
  return _cut(image, box, size, channels)


def random_view(
  image: Image.Image, size: int, rng: np.random.Generator, *, channels: int = 3
) -> np.ndarray:
  """A random part of random aspect, left and right swapped half the time."""
  pixels = _cut(image, random_box(*image.size, rng), size, channels)
  return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def random_box(
  width: int, height: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
  """Left, top, right, bottom of 8 to 100 % of the area, 3:4 to 4:3.

  An image too long for such a part yields as much of its middle as is 3:4.
  """
  for _ in range(TRIES):
    area = width * height * rng.uniform(*AREA)
    aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
    w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      left = int(rng.integers(width - w + 1))
      top = int(rng.integers(height - h + 1))
      return left, top, left + w, top + h
  w = min(width, max(1, round(height * ASPECT[1])))
  h = min(height, max(1, round(width / ASPECT[0])))
  left, top = (width - w) // 2, (height - h) // 2
  return left, top, left + w, top + h


def _cut(image: Image.Image, box, size: int, channels: int) -> np.ndarray:
  """[size, size, channels] of a box in pixels of the image."""
  left, top, right, bottom = box
  shrink = max(1.0, min(right - left, bottom - top) / size)
  width, height = image.size
  # Only a JPEG heeds this: it decodes at 1/2, 1/4 or 1/8, never below that.
  image.draft(None, (math.ceil(width / shrink), math.ceil(height / shrink)))
  across, down = image.width / width, image.height / height
  # What rounds up to beyond the edge would be refused.
  right = min(right * across, image.width)
  bottom = min(bottom * down, image.height)
  box = (left * across, top * down, right, bottom)
  image = _in_colours(image, channels)
  image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
  return np.asarray(image).reshape(size, size, channels)


def _in_colours(image: Image.Image, channels: int) -> Image.Image:
  """Grey, CMYK and palette images turned into what the set has."""
  mode = MODES[channels]
  return image if image.mode == mode else image.convert(mode)
