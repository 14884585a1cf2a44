"""How weights are laid out in torch's files, and how ours are read from there.

Torch keeps the output axis first, [o, i] and [o, i, h, w]; flax keeps it last.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Layout(NamedTuple):
  """How a leaf is laid out in a file, and how it is read from there."""

  file_shape: Callable[[Shape], Shape]  # the leaf's shape -> the tensor's
  read: Callable[[np.ndarray], np.ndarray]  # the tensor -> the leaf


SAME = Layout(lambda s: s, lambda a: a)
DENSE = Layout(lambda s: (s[1], s[0]), lambda a: a.T)  # [i, o] <- [o, i]
CONV = Layout(  # [h, w, i, o] <- [o, i, h, w]
  lambda s: (s[3], s[2], s[0], s[1]), lambda a: a.transpose(2, 3, 1, 0)
)


def flattened(height: int, width: int) -> Layout:
  """A dense layer on a flattened image: rows (h, w, c) <- columns (c, h, w)."""

  def read(a):
    a = a.reshape(a.shape[0], -1, height, width)
    return a.transpose(2, 3, 1, 0).reshape(-1, a.shape[0])

  return Layout(lambda s: (s[1], s[0]), read)


def window(height: int, width: int) -> Layout:
  """The same dense layer, written as a convolution over the whole image."""
  return Layout(
    lambda s: (s[1], s[0] // (height * width), height, width),
    flattened(height, width).read,
  )


def third(index: int) -> Layout:
  """Query, key or value (0, 1, 2) of one fused tensor [3 * o, ...]."""

  def file_shape(s):
    return (3 * s[-1], *s[:-1])

  def read(a):
    size = a.shape[0] // 3
    return a[index * size : (index + 1) * size].T

  return Layout(file_shape, read)
