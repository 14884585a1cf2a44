"""What the body of a request is, as a model takes it; or why it is refused.

A body is an image file, plain pixels row by row, of one image or several, or
JSON with a list of examples: images as lists of numbers from 0 to 255, texts,
or sounds as lists of samples.
"""

import io
import json
import math

import numpy as np
from PIL import Image

from pwl_jax.bundle.inputs import ImageInput, SoundInput

MOST_PIXELS = 2**24  # Of an image file, which may be far smaller than these.
IMAGE_FILES = {"image/png": "PNG", "image/jpeg": "JPEG"}
MODES = {1: "L", 3: "RGB"}  # Channels -> Pillow's name for them.


class Refused(Exception):
  """What a request asks for cannot be done; whose fault says the status."""

  def __init__(self, status, reason):
    super().__init__(reason)
    self.status = status


def read_examples(body, kind, input):
  """What a model takes, of the bytes of a request."""
  if kind == "application/json":
    return read_json(body, input)
  if not isinstance(input, ImageInput):
    raise Refused(
      415, f"this bundle takes {input.kind}; send them as application/json"
    )
  if kind in IMAGE_FILES:
    return [read_image(body, IMAGE_FILES[kind], input.image[-1])]
  if kind != "application/octet-stream":
    allowed = ", ".join(["application/json", *IMAGE_FILES])
    raise Refused(
      415,
      f"Content-Type is {kind!r}; send {allowed} or application/octet-stream",
    )
  size = math.prod(input.image)
  if not body or len(body) % size:
    height, width, channels = input.image
    raise Refused(
      400,
      f"{len(body)} bytes are no images of {height}x{width}x{channels}; send "
      f"{size} bytes for each",
    )
  return np.frombuffer(body, np.uint8).reshape(-1, *input.image)


def read_image(body, form, channels):
  """Pixels of a file, decoded only once it is known how many there are."""
  try:
    image = Image.open(io.BytesIO(body), formats=[form])
    width, height = image.size
    if width * height > MOST_PIXELS:
      raise Refused(413, f"{width}x{height} pixels are too many")
    pixels = np.asarray(image.convert(MODES[channels]))
  except (OSError, ValueError, SyntaxError) as error:
    raise Refused(400, f"the body is no whole {form} file") from error
  except Image.DecompressionBombError as error:
    raise Refused(413, "the image has too many pixels") from error
  return pixels.reshape(height, width, channels)


def read_json(body, input):
  """The list under "examples"."""
  try:
    found = json.loads(body)
  except (ValueError, RecursionError) as error:
    raise Refused(400, "the body is no JSON") from error
  examples = found.get("examples") if isinstance(found, dict) else None
  if not isinstance(examples, list):
    raise Refused(400, 'send an object such as {"examples": [...]}')
  if not isinstance(input, ImageInput | SoundInput):
    return examples  # Texts.
  return [whole_numbers(example, input.dtype) for example in examples]


def whole_numbers(example, dtype):
  """Numbers of JSON as an array; nothing is wrapped around."""
  limits = np.iinfo(dtype)
  try:
    found = np.asarray(example)
  except ValueError as error:
    raise Refused(400, f"an example is no array: {error}") from error
  if found.dtype.kind not in "iu" or not found.size:
    raise Refused(400, "an example is no list of whole numbers")
  if found.min() < limits.min or found.max() > limits.max:
    raise Refused(
      400,
      f"an example has numbers from {found.min()} to {found.max()}; they go "
      f"from {limits.min} to {limits.max}",
    )
  return found.astype(dtype)
