"""Channels inside of a unit, which no converter and no other unit sees.

A unit that has some can be made with fewer of them, as an ordinary unit of the
same class:

  unit.inner_channels()  what makes them and what takes them, an `Inner` each
  unit.narrowed(keep)    the unit with `keep(width)` in place of each width

`compress/prune.py` goes by these two; a unit without them stays as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import linen as nn

Keep = Callable[[int], int]  # Channels -> how many of them stay.


class Inner(NamedTuple):
  """Channels from one layer to the next, by the layers' paths in the unit.

  They are the last axis of all that the first two have, and the second last
  of the third one's kernel.
  """

  made_by: str  # A convolution or dense layer, such as "block0/conv0/conv".
  used_by: str
  norm: str | None = None  # Between them.


def inner_channels(unit: nn.Module) -> tuple[Inner, ...]:
  """None, of a unit that does not say."""
  return unit.inner_channels() if hasattr(unit, "inner_channels") else ()


def narrowed(unit: nn.Module, keep: Keep) -> nn.Module:
  """With fewer inner channels; the same where there are none."""
  return unit.narrowed(keep) if inner_channels(unit) else unit
