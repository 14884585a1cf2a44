"""LeNet-5 in four units: two convolutions, then two dense layers.

unit0  5x5 convolution, relu, 2x2 mean pool
unit1  the same
unit2  flatten, dense, relu
unit3  dense, relu, and the head
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.models import layers
from pwl_jax.models.inner import Inner, Keep


def lenet(
  conv_widths: Sequence[int] = (6, 16),
  dense_widths: Sequence[int] = (120, 84),
  *,
  num_classes: int = 10,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[nn.Module, ...]:
  """One unit per convolution and per dense layer; the last has the head."""
  *body, last = dense_widths
  return (
    *(ConvUnit(width, dtype=dtype) for width in conv_widths),
    *(DenseUnit(width, dtype=dtype) for width in body),
    DenseUnit(last, num_classes=num_classes, dtype=dtype),
  )


class ConvUnit(nn.Module):
  """A convolution that halves the image, and takes off its rim."""

  width: int
  dtype: layers.Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, h, w, c] -> [b, (h - 4) / 2, (w - 4) / 2, width]."""
    layers.check_side(x, 6)
    x = layers.conv(
      self.width, 5, padding=0, use_bias=True, dtype=self.dtype, name="conv"
    )(x)
    return nn.avg_pool(nn.relu(x), (2, 2), (2, 2))


class DenseUnit(nn.Module):
  """A dense layer over everything an example has, with a head if asked."""

  width: int
  num_classes: int | None = None
  dtype: layers.Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, ...] -> [b, width], or [b, num_classes]."""
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(nn.Dense(self.width, dtype=self.dtype, name="dense")(x))
    return x if self.num_classes is None else layers.head(self.num_classes)(x)

  def inner_channels(self) -> tuple[Inner, ...]:
    """Before the head; without one they are those of a boundary."""
    return () if self.num_classes is None else (Inner("dense", "head"),)

  def narrowed(self, keep: Keep) -> "DenseUnit":
    has_inner = self.num_classes is not None
    return self.clone(width=keep(self.width)) if has_inner else self
