"""VGG with batch normalisation: a unit is the convolutions up to a pool.

The head is the authors' (global mean, one dense layer) or, with
`dense_widths`, the original one of ImageNet: pooled to 7x7, flattened, and
two wide dense layers.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.models import layers
from pwl_jax.models.inner import Inner, Keep


def vgg(
  widths: Sequence[int] = (64, 128, 256, 512, 512),
  depths: Sequence[int] = (2, 2, 3, 3, 3),
  *,
  pool_window: int = 2,
  pool_stride: int = 2,
  pool_to: int = 1,
  dense_widths: Sequence[int] = (),
  num_classes: int = 10,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[nn.Module, ...]:
  """One unit per width; the last also holds the head."""
  layers.check_lengths(widths=widths, depths=depths)
  *body, last = (
    dict(
      width=width,
      depth=depth,
      inner_width=width,
      pool_window=pool_window,
      pool_stride=pool_stride,
      dtype=dtype,
    )
    for width, depth in zip(widths, depths, strict=True)
  )
  head = dict(
    num_classes=num_classes, pool_to=pool_to, dense_widths=tuple(dense_widths)
  )
  return (*(VGGUnit(**unit) for unit in body), VGGUnit(**last, **head))


class VGGUnit(nn.Module):
  """3x3 convolutions at one width and a max pool; the last adds the head."""

  width: int
  depth: int
  inner_width: int  # Before the last convolution.
  pool_window: int = 2
  pool_stride: int = 2
  num_classes: int | None = None  # A head only in the last unit.
  pool_to: int = 1  # Side of the image the head flattens.
  dense_widths: tuple[int, ...] = ()
  dtype: layers.Dtype = jnp.float32
  sync_axis: str | None = None  # Of the batch norms, as in `models.sync`.

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, h, w, c] -> [b, h / stride, w / stride, width], or logits."""
    for i in range(self.depth):
      width = self.inner_width if i < self.depth - 1 else self.width
      x = layers.conv(
        width, 3, use_bias=True, dtype=self.dtype, name=f"conv{i}"
      )(x)
      x = layers.batch_norm(
        train, dtype=self.dtype, name=f"norm{i}", sync_axis=self.sync_axis
      )(x)
      x = nn.relu(x)
    x = layers.max_pool(x, self.pool_window, self.pool_stride)
    if self.num_classes is None:
      return x
    x = layers.adaptive_mean(x, self.pool_to)
    x = x.reshape(x.shape[0], -1)
    for i, width in enumerate(self.dense_widths):
      x = nn.relu(nn.Dense(width, dtype=self.dtype, name=f"dense{i}")(x))
    return layers.head(self.num_classes)(x)

  def inner_channels(self) -> tuple[Inner, ...]:
    """Between the convolutions, and behind the dense layers of the head."""
    between = [
      Inner(f"conv{i}", f"conv{i + 1}", norm=f"norm{i}")
      for i in range(self.depth - 1)
    ]
    dense = [f"dense{i}" for i in range(len(self.dense_widths))]
    return (*between, *map(Inner, dense, [*dense[1:], "head"]))

  def narrowed(self, keep: Keep) -> "VGGUnit":
    return self.clone(
      inner_width=keep(self.inner_width),
      dense_widths=tuple(map(keep, self.dense_widths)),
    )
