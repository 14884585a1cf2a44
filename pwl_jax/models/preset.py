"""What a preset is: a pair of networks that fit, and what they are fed."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


class Size:
  """One network of a preset: its parameter count and its builder's options.

  The count is stated so that a reader sees it; a test holds it.
  """

  def __init__(self, parameters: int, **options: Any):
    self.parameters = parameters
    self.options = options


@dataclasses.dataclass(frozen=True)
class Preset:
  """A pair of networks that fit each other, unit by unit."""

  # (num_classes=, dtype=, and the options below) -> units.
  build: Callable[..., tuple]
  teacher: Size
  student: Size
  # One input: height, width, channels of an image; tokens; samples of a sound.
  input_shape: tuple[int, ...]
  num_classes: int
  common: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def kind(self) -> str:
    """What its networks take: "images", "texts" or "sounds"."""
    if "vocab_size" in self.common:
      return "texts"
    return "sounds" if "sample_rate" in self.common else "images"

  @property
  def input_dtype(self) -> str:
    return "int32" if self.kind == "texts" else "float32"


def transformer_shape(width: int, **options) -> dict[str, Any]:
  """The usual proportions: heads of 64 channels, an MLP of 4 widths."""
  return dict(width=width, heads=width // 64, mlp_width=4 * width) | options
