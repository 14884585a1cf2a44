"""What a request may bring, and what the first unit gets of it.

Images: networks that were trained on images of many sizes cut the middle out
of each and resize it; the same is done here, one by one, on the host. A batch
of the size is taken to be cut already. Texts are cut into tokens by the
tokeniser of the bundle. Sounds are filled up with silence, or cut at the end;
they are not resampled.
"""

import fractions
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pwl_jax.bundle.inputs import ImageInput, Input, SoundInput, TextInput
from pwl_jax.method.checks import check_range

Examples = np.ndarray | Sequence[Any]
LOUDEST = 2.0  # Of sounds from -1 to 1: what was resampled goes beyond.
MOST_CHANNELS = 2  # More columns than these are samples.


def reader(input: Input) -> Callable[..., np.ndarray]:
  """Returns read(examples, sample_rate) -> a batch for the first units.

  It raises where a request cannot be made into one. `sample_rate` is that of
  sounds, where it is known, and else None.
  """

  def read(examples: Examples, sample_rate: int | None = None) -> np.ndarray:
    if sample_rate is not None:
      _check_rate(sample_rate, input)
    return as_batch(examples)

  as_batch = _reader(input)
  return read


def _reader(input: Input) -> Callable[[Examples], np.ndarray]:
  if isinstance(input, TextInput):
    from pwl_jax.data.tokens import Tokenizer  # Only texts need the library.

    tokenizer = Tokenizer(input.tokenizer, input.length)
    return functools.partial(
      _of_texts,
      input=input,
      encode=tokenizer.encode,
      vocab_size=tokenizer.vocab_size,
    )
  kinds = {ImageInput: of_images, SoundInput: of_sounds}
  return functools.partial(kinds[type(input)], input=input)


def of_images(images: Examples, input: ImageInput) -> np.ndarray:
  """uint8[b, h, w, c], or a list of uint8[h, w, c]."""
  cuts = input.resize == "centre"
  if cuts and isinstance(images, list | tuple):
    views = [_view(np.asarray(image), input) for image in images]
    return np.stack(views) if views else np.zeros((0, *input.image), np.uint8)
  images = np.asarray(images)
  if images.shape == (0,):
    return np.zeros((0, *input.image), np.uint8)
  _check_pixels(images, (None, *input.image), cuts)
  if images.shape[1:] == tuple(input.image):
    return images
  return np.stack([_view(image, input) for image in images])


def _view(image: np.ndarray, input: ImageInput) -> np.ndarray:
  """Of one image, as the evaluation saw it."""
  size, _, channels = input.image
  _check_pixels(image, input.image, cuts=True)
  from PIL import Image  # Slow to import, and not always needed.

  from pwl_jax.data import views

  pixels = image[:, :, 0] if channels == 1 else image
  return views.centre_view(Image.fromarray(pixels), size, channels=channels)


def _check_pixels(images: np.ndarray, shape: Sequence[int | None], cuts: bool):
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


def _of_texts(
  texts: Examples,
  input: TextInput,
  encode: Callable[[Sequence[str]], np.ndarray],
  vocab_size: int,
) -> np.ndarray:
  """A list of texts, or the tokens of some, int[b, length]."""
  if isinstance(texts, str):
    raise ValueError(f"{texts[:40]!r} is one text; give a list of them")
  if not isinstance(texts, list | tuple):
    texts = np.asarray(texts)
    if texts.dtype.kind not in "UO":
      return _as_tokens(texts, input, vocab_size)
  texts = (
    np.atleast_1d(texts).tolist() if isinstance(texts, np.ndarray) else texts
  )
  for text in texts:
    if not isinstance(text, str):
      shown = repr(text)[:40]
      raise ValueError(f"{shown} is no text; give a list of strings")
  if not texts:
    return np.zeros((0, input.length), np.int32)
  return encode(texts)


def _as_tokens(
  tokens: np.ndarray, input: TextInput, vocab_size: int
) -> np.ndarray:
  fits = tokens.ndim == 2 and tokens.shape[1] == input.length
  if not fits or tokens.dtype.kind not in "iu":
    raise ValueError(
      f"tokens are {tokens.dtype}{list(tokens.shape)}; give whole numbers, "
      f"[b, {input.length}], or a list of texts"
    )
  low, high = tokens.min(initial=0), tokens.max(initial=0)
  if low < 0 or high >= vocab_size:
    raise ValueError(
      f"tokens go from {low} to {high}, and this bundle knows 0 to "
      f"{vocab_size - 1}"
    )
  return tokens.astype(np.int32)


def _check_rate(given: float, input: Input):
  if not isinstance(input, SoundInput):
    raise ValueError(
      f"sample_rate is {given}, and this bundle takes {input.kind}; leave it "
      "out"
    )
  check_range("sample_rate", given, 1)
  if given != input.sample_rate:
    factor = fractions.Fraction(input.sample_rate) / fractions.Fraction(given)
    up, down = factor.limit_denominator(100_000).as_integer_ratio()
    raise ValueError(
      f"the sounds have {given} samples a second, and this bundle takes "
      f"{input.sample_rate}; resample them, int16 for example as "
      f"scipy.signal.resample_poly(sound / 32768, {up}, {down})"
    )


def of_sounds(sounds: Examples, input: SoundInput) -> np.ndarray:
  """int16[b, n], or floats from -1 to 1, or a list of sounds of any length."""
  if not isinstance(sounds, list | tuple):
    sounds = np.asarray(sounds)
    if sounds.ndim != 2 or 0 < sounds.shape[1] <= MOST_CHANNELS < len(sounds):
      raise ValueError(
        f"sounds are {sounds.dtype}{list(sounds.shape)}; give one channel of "
        "each, [b, samples], or a list of sounds of any length"
      )
  batch = np.zeros((len(sounds), input.samples), np.int16)
  for row, sound in zip(batch, sounds, strict=True):
    samples = _as_int16(np.asarray(sound))[: input.samples]
    row[: len(samples)] = samples
  return batch


def _as_int16(sound: np.ndarray) -> np.ndarray:
  what = f"a sound is {sound.dtype}{list(sound.shape)}"
  if sound.ndim != 1:
    raise ValueError(f"{what}; give one channel, [samples]")
  if sound.dtype == np.int16:
    return sound
  if sound.dtype.kind != "f":
    raise ValueError(f"{what}; give int16, or numbers from -1 to 1")
  loudest = np.abs(sound).max(initial=0)
  if not loudest <= LOUDEST:  # A NaN is not either.
    raise ValueError(
      f"{what}, up to {loudest:.6g}; give numbers from -1 to 1, or samples as "
      "int16"
    )
  return np.round(np.clip(sound, -1, 1) * (2**15 - 1)).astype(np.int16)
