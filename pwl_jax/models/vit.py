"""Vision Transformer: a unit is a few pre-norm layers at one width.

The first unit also cuts the image into patches, adds the class token and the
positions; the last reads the class token and holds the head. A feature is
[b, tokens, width].
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.models import layers

_init = nn.initializers.truncated_normal(0.02)


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
    activation: a name in `layers.ACTIVATIONS`.
    norm_epsilon: of every LayerNorm.
    num_classes: of the head.
    dtype: to compute in; parameters are float32.
  """
  if heads < 1 or width % heads:
    raise ValueError(
      f"{heads} heads cannot share a width of {width}; use a number of heads "
      "that divides it"
    )
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


def unit_depths(
  num_layers: int, layers_per_unit: int | Sequence[int]
) -> tuple[int, ...]:
  """The number of layers in each unit: (12, 2) -> (2, 2, 2, 2, 2, 2)."""
  if isinstance(layers_per_unit, int):
    if layers_per_unit < 1 or num_layers % layers_per_unit:
      divisors = [d for d in range(1, num_layers + 1) if num_layers % d == 0]
      raise ValueError(
        f"{num_layers} layers do not make units of {layers_per_unit}; use one "
        f"of {divisors}, or a list with the number of every unit"
      )
    return (layers_per_unit,) * (num_layers // layers_per_unit)
  depths = tuple(layers_per_unit)
  if sum(depths) != num_layers or min(depths) < 1:
    raise ValueError(
      f"units of {depths} layers hold {sum(depths)}, but the network has "
      f"{num_layers}; give positive numbers that add up to it"
    )
  return depths


@dataclasses.dataclass(frozen=True)
class LayerShape:
  """What all layers of a network have in common."""

  heads: int
  mlp_width: int
  qkv_bias: bool
  activation: str
  norm_epsilon: float
  dtype: layers.Dtype


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
    return self.param(name, _init, shape, jnp.float32)


class Attention(nn.Module):
  """Multi-head self-attention over [b, tokens, width]."""

  heads: int
  qkv_bias: bool
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]

    def project(name):
      y = nn.Dense(
        width,
        use_bias=self.qkv_bias,
        kernel_init=_init,
        dtype=self.dtype,
        name=name,
      )(x)
      return y.reshape(*y.shape[:-1], self.heads, width // self.heads)

    x = jax.nn.dot_product_attention(
      project("query"), project("key"), project("value")
    )
    x = x.reshape(*x.shape[:-2], width)
    return nn.Dense(width, kernel_init=_init, dtype=self.dtype, name="out")(x)


class Layer(nn.Module):
  """x + attention(norm(x)), then x + mlp(norm(x))."""

  shape: LayerShape

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape, dtype = self.shape, self.shape.dtype

    def dense(width, name):
      return nn.Dense(width, kernel_init=_init, dtype=dtype, name=name)

    y = layers.layer_norm(shape.norm_epsilon, dtype=dtype, name="norm1")(x)
    x = x + Attention(shape.heads, shape.qkv_bias, dtype, name="attention")(y)
    y = layers.layer_norm(shape.norm_epsilon, dtype=dtype, name="norm2")(x)
    y = layers.activation(shape.activation)(dense(shape.mlp_width, "mlp_in")(y))
    return x + dense(x.shape[-1], "mlp_out")(y)


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
      x = layers.layer_norm(epsilon, dtype=dtype, name="norm")(x)
    return layers.head(self.num_classes)(x)
