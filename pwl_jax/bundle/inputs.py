"""What a bundle answers, as first units take it: images, texts or sounds."""

from typing import NamedTuple

RESIZES = ("exact", "centre")


class ImageInput(NamedTuple):
  """The first units take uint8 pixels, and normalise them."""

  image: tuple[int, ...]  # Height, width, channels.
  mean: tuple[float, ...]
  deviation: tuple[float, ...]
  # "exact": images have this size. "centre": others are cut and resized to it
  # as pwl_jax.data.views.centre_view does, which the network was trained for.
  resize: str

  kind = "images"
  dtype = "uint8"

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example, as the first units take it."""
    return self.image


class TextInput(NamedTuple):
  """The first units take tokens, int32, with padding behind them."""

  length: int  # Of the tokens; longer texts are cut.
  tokenizer: str  # A tokenizer.json, as the library `tokenizers` reads it.

  kind = "texts"
  dtype = "int32"

  @property
  def shape(self) -> tuple[int, ...]:
    return (self.length,)


class SoundInput(NamedTuple):
  """The first units take int16 samples, with silence behind them."""

  samples: int  # Longer sounds are cut.
  sample_rate: int  # Per second.

  kind = "sounds"
  dtype = "int16"

  @property
  def shape(self) -> tuple[int, ...]:
    return (self.samples,)


INPUTS = {kind.kind: kind for kind in (ImageInput, TextInput, SoundInput)}
Input = ImageInput | TextInput | SoundInput
