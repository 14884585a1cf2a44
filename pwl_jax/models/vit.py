"""Vision Transformer: a unit is a few pre-norm layers at one width.

The first unit also cuts the image into patches, adds the class token and the
positions; the last reads the class token and holds the head. A feature is
[b, tokens, width].
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.models import layers
from pwl_jax.models.inner import Inner, Keep
from pwl_jax.models.layer_norm import LayerNorm
from pwl_jax.models.transformer import (
  Layer,
  LayerShape,
  check_heads,
  init,
  inner_channels,
  narrowed,
  unit_depths,
)


def vit(
  *,
  width: int,
  heads: int,
  mlp_width: int,
  num_layers: int,
  layers_per_unit: int | Sequence[int],
  patch: int | tuple[int, int] = 16,
  final_norm: bool = True,
  qkv_bias: bool = True,
  activation: str = "gelu",
  norm_epsilon: float = 1e-12,
  num_classes: int = 10,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[nn.Module, ...]:
  """Units of `layers_per_unit` layers each, any image that patches tile.

  Args:
    width: channels of a token.
    heads: of the attention; they share out the width.
    mlp_width: inside the MLP of a layer.
    num_layers: of the whole network.
    layers_per_unit: one number, or one per unit.
    patch: side of a patch in pixels, or (height, width).
    final_norm: a LayerNorm between the last layer and the head; the authors'
      forward pass has none.
    qkv_bias: whether queries, keys and values have a bias.
    activation: a name in `activations.ACTIVATIONS`.
    norm_epsilon: of every LayerNorm.
    num_classes: of the head.
    dtype: to compute in; parameters are float32.
  """
  check_heads(heads, width)
  depths = unit_depths(num_layers, layers_per_unit)
  layer = LayerShape(
    heads=heads,
    mlp_width=mlp_width,
    qkv_bias=qkv_bias,
    activation=activation,
    norm_epsilon=norm_epsilon,
    dtype=dtype,
  )
  sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
  return tuple(
    ViTUnit(
      width=width,
      depth=depth,
      layer=layer,
      patch=None if i else sides,
      num_classes=num_classes if i == len(depths) - 1 else None,
      final_norm=final_norm,
    )
    for i, depth in enumerate(depths)
  )


class PatchEmbed(nn.Module):
  """Patches as tokens, behind a class token, each with its position."""

  width: int
  patch: tuple[int, int]
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, 1 + h / patch * w / patch, width]."""
    if x.shape[1] % self.patch[0] or x.shape[2] % self.patch[1]:
      raise ValueError(
        f"patches of {self.patch} do not tile an image of {x.shape[1:3]}; "
        "resize the image to a multiple of the patch, or change the patch"
      )
    x = nn.Conv(
      self.width,
      self.patch,
      self.patch,
      padding="VALID",
      dtype=self.dtype,
      name="project",
    )(x)
    x = x.reshape(x.shape[0], -1, self.width)
    token = self._param("class_token", (1, 1, self.width))
    token = jnp.broadcast_to(token, (x.shape[0], 1, self.width))
    x = jnp.concatenate([token.astype(x.dtype), x], axis=1)
    positions = self._param("positions", (1, x.shape[1], self.width))
    return x + positions.astype(x.dtype)

  def _param(self, name: str, shape: tuple[int, ...]) -> jax.Array:
    return self.param(name, init, shape, jnp.float32)


class ViTUnit(nn.Module):
  """Layers; the first unit embeds before them, the last has the head."""

  width: int
  depth: int
  layer: LayerShape
  patch: tuple[int, int] | None = None
  num_classes: int | None = None
  final_norm: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """[b, h, w, c] or [b, tokens, width] -> [b, tokens, width] or logits."""
    dtype = self.layer.dtype
    if self.patch is not None:
      x = PatchEmbed(self.width, self.patch, dtype, name="embed")(x)
    for i in range(self.depth):
      x = Layer(self.layer, name=f"layer{i}")(x)
    if self.num_classes is None:
      return x
    x = x[:, 0]  # A LayerNorm is per token: the class token's is enough.
    if self.final_norm:
      epsilon = self.layer.norm_epsilon
      x = LayerNorm(epsilon, dtype=dtype, name="norm")(x)
    return layers.head(self.num_classes)(x)

  def inner_channels(self) -> tuple[Inner, ...]:
    return inner_channels(self.depth)

  def narrowed(self, keep: Keep) -> "ViTUnit":
    return self.clone(layer=narrowed(self.layer, keep))
