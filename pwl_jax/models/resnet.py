"""ResNet: a unit is a stage of residual blocks at one width.

The first unit also holds the stem, small ("cifar": a 3x3 convolution) or
large ("imagenet": a 7x7 convolution of stride 2 and a max pool); the last
holds the head. Blocks are basic (two 3x3 convolutions) or bottleneck (1x1,
3x3, 1x1 at a quarter of the width).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.checks import check_choice
from pwl_jax.models import activations, layers
from pwl_jax.models.inner import Inner, Keep

STEMS = {
  "cifar": dict(kernel=3, stride=1, pool=False),
  "imagenet": dict(kernel=7, stride=2, pool=True),
}
BLOCKS = ("basic", "bottleneck")


def resnet(
  widths: Sequence[int],
  depths: Sequence[int],
  *,
  block: str = "basic",
  stem: str | dict = "cifar",
  stem_width: int = 64,
  inner_widths: Sequence[int] | None = None,
  first_stride: int = 1,
  stride_in_first_conv: bool = False,
  activation: str = "relu",
  num_classes: int = 10,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[nn.Module, ...]:
  """One unit per width.

  Args:
    widths: channels out of each stage.
    depths: blocks of each stage.
    block: "basic" or "bottleneck".
    stem: "cifar", "imagenet", or the fields of `Stem`.
    stem_width: channels out of the stem.
    inner_widths: of all convolutions in a block but its last; by default the
      width, and in a bottleneck a quarter of it.
    first_stride: of the first stage; the others halve the image.
    stride_in_first_conv: a bottleneck strides in its first 1x1 convolution
      rather than in the 3x3.
    activation: of the stem and behind each sum, a name in
      `activations.ACTIVATIONS`; inside a block it is relu, as in transformers.
    num_classes: of the head.
    dtype: to compute in; parameters are float32.
  """
  layers.check_lengths(widths=widths, depths=depths)
  check_choice("block", block, BLOCKS)
  if isinstance(stem, str):
    check_choice("stem", stem, STEMS)
    stem = STEMS[stem]
  if inner_widths is None:
    share = 4 if block == "bottleneck" else 1
    inner_widths = [width // share for width in widths]
  common = dict(
    bottleneck=block == "bottleneck",
    stride_in_first_conv=stride_in_first_conv,
    activation=activation,
    dtype=dtype,
  )
  last = len(widths) - 1
  stem_module = Stem(stem_width, **stem, activation=activation, dtype=dtype)
  return tuple(
    ResNetUnit(
      width=width,
      depth=depth,
      inner_width=inner,
      stride=2 if i else first_stride,
      stem=None if i else stem_module,
      num_classes=num_classes if i == last else None,
      **common,
    )
    for i, (width, depth, inner) in enumerate(
      zip(widths, depths, inner_widths, strict=True)
    )
  )


class ConvNorm(nn.Module):
  """Convolution and batch normalisation, in that order."""

  width: int
  kernel: int
  stride: int = 1
  dtype: layers.Dtype = jnp.float32
  sync_axis: str | None = None  # Of the batch norm, as in `models.sync`.

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = layers.conv(
      self.width, self.kernel, self.stride, dtype=self.dtype, name="conv"
    )(x)
    return layers.batch_norm(
      train, dtype=self.dtype, name="norm", sync_axis=self.sync_axis
    )(x)


class Stem(nn.Module):
  """From pixels to the first feature."""

  width: int
  kernel: int = 3
  stride: int = 1
  pool: bool = False
  activation: str = "relu"
  dtype: layers.Dtype = jnp.float32
  sync_axis: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = ConvNorm(
      self.width,
      self.kernel,
      self.stride,
      dtype=self.dtype,
      sync_axis=self.sync_axis,
      name="embed",
    )(x, train=train)
    x = activations.by_name(self.activation)(x)
    return layers.max_pool(x, 3, 2, padding=1) if self.pool else x


class Block(nn.Module):
  """A residual block; the shortcut has weights only where shapes change."""

  width: int
  stride: int
  inner_width: int
  bottleneck: bool
  stride_in_first_conv: bool
  activation: str
  dtype: layers.Dtype
  sync_axis: str | None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    common = dict(dtype=self.dtype, sync_axis=self.sync_axis)
    shortcut = x
    if self.stride != 1 or x.shape[-1] != self.width:
      shortcut = ConvNorm(
        self.width, 1, self.stride, **common, name="shortcut"
      )(x, train=train)
    convs = self._convs()
    for i, (width, kernel, stride) in enumerate(convs):
      x = ConvNorm(width, kernel, stride, **common, name=f"conv{i}")(
        x, train=train
      )
      if i < len(convs) - 1:
        x = nn.relu(x)
    return activations.by_name(self.activation)(x + shortcut)

  def _convs(self) -> list[tuple[int, int, int]]:
    """(width, kernel, stride) of each convolution."""
    if not self.bottleneck:
      return [(self.inner_width, 3, self.stride), (self.width, 3, 1)]
    first, second = (
      (self.stride, 1) if self.stride_in_first_conv else (1, self.stride)
    )
    return [
      (self.inner_width, 1, first),
      (self.inner_width, 3, second),
      (self.width, 1, 1),
    ]


class ResNetUnit(nn.Module):
  """A stage; the first adds the stem before it, the last the head behind."""

  width: int
  depth: int
  inner_width: int
  stride: int
  bottleneck: bool = False
  stride_in_first_conv: bool = False
  activation: str = "relu"
  stem: nn.Module | None = None
  num_classes: int | None = None
  dtype: layers.Dtype = jnp.float32
  sync_axis: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, h, w, c] -> [b, h / stride, w / stride, width], or logits."""
    if self.stem is not None:
      x = self.stem(x, train=train)
    for i in range(self.depth):
      x = Block(
        self.width,
        self.stride if i == 0 else 1,
        self.inner_width,
        self.bottleneck,
        self.stride_in_first_conv,
        self.activation,
        self.dtype,
        self.sync_axis,
        name=f"block{i}",
      )(x, train=train)
    if self.num_classes is None:
      return x
    return layers.head(self.num_classes)(layers.global_mean(x))

  def inner_channels(self) -> tuple[Inner, ...]:
    """Behind each convolution of a block but its last."""
    return tuple(
      Inner(
        f"block{i}/conv{j}/conv",
        f"block{i}/conv{j + 1}/conv",
        norm=f"block{i}/conv{j}/norm",
      )
      for i in range(self.depth)
      for j in range(2 if self.bottleneck else 1)
    )

  def narrowed(self, keep: Keep) -> "ResNetUnit":
    return self.clone(inner_width=keep(self.inner_width))
