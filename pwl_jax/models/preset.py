"""What a preset is: two sizes of one network family, teacher and student."""

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

  build: Callable[..., tuple]  # options -> units
  teacher: Size
  student: Size
  image: tuple[int, int, int]  # height, width, channels
  num_classes: int
  common: Mapping[str, Any] = dataclasses.field(default_factory=dict)
