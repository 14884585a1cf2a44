"""The layers of a Transformer, which `vit` and `text` are made of.

A layer is attention and an MLP, each with a residual connection around it and
a LayerNorm before it (`norm="pre"`, as in a ViT) or behind it, on the sum
(`norm="post"`, as in BERT). Positions that do not count are no keys of the
attention, so that no other position ever sees them.
"""

import dataclasses
from collections.abc import Sequence

import jax
from flax import linen as nn

from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.models import activations, layers
from pwl_jax.models.attention import attend
from pwl_jax.models.dense import dot_general
from pwl_jax.models.inner import Inner, Keep
from pwl_jax.models.layer_norm import LayerNorm

NORMS = ("pre", "post")
init = nn.initializers.truncated_normal(0.02)


@dataclasses.dataclass(frozen=True)
class LayerShape:
  """What all layers of a network have in common."""

  heads: int
  mlp_width: int
  qkv_bias: bool
  activation: str
  norm_epsilon: float
  dtype: layers.Dtype
  norm: str = "pre"
  dropout: float = 0.0  # Of what attention and MLP add, in training.

  def __post_init__(self):
    activations.by_name(self.activation)  # Raises where there is none.
    check_choice("norm", self.norm, NORMS)
    check_range("dropout", self.dropout, 0, 1)


def inner_channels(depth: int) -> tuple[Inner, ...]:
  """Of a unit of so many layers: inside of each MLP."""
  return tuple(
    Inner(f"layer{i}/mlp_in", f"layer{i}/mlp_out") for i in range(depth)
  )


def narrowed(layer: LayerShape, keep: Keep) -> LayerShape:
  return dataclasses.replace(layer, mlp_width=keep(layer.mlp_width))


def check_heads(heads: int, width: int):
  if heads < 1 or width % heads:
    raise ValueError(
      f"{heads} heads cannot share a width of {width}; use a number of heads "
      "that divides it"
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


def dense(
  width: int, name: str, dtype: layers.Dtype, *, use_bias: bool = True
) -> nn.Dense:
  """As all of an encoder are: projections, and both of an MLP."""
  return nn.Dense(
    width,
    use_bias=use_bias,
    kernel_init=init,
    dtype=dtype,
    dot_general=dot_general,
    name=name,
  )


class Attention(nn.Module):
  """Multi-head self-attention over [b, tokens, width]."""

  heads: int
  qkv_bias: bool
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """`mask`, bool[b, tokens], says which of the tokens are keys."""
    width = x.shape[-1]

    def project(name):
      y = dense(width, name, self.dtype, use_bias=self.qkv_bias)(x)
      return y.reshape(*y.shape[:-1], self.heads, width // self.heads)

    x = attend(project("query"), project("key"), project("value"), mask)
    x = x.reshape(*x.shape[:-2], width)
    return dense(width, "out", self.dtype)(x)


class Layer(nn.Module):
  """Attention, then an MLP, each added to what it was given."""

  shape: LayerShape

  @nn.compact
  def __call__(
    self, x: jax.Array, *, mask: jax.Array | None = None, train: bool = False
  ) -> jax.Array:
    shape = self.shape

    def add(x, inner, name):
      norm = LayerNorm(
        shape.norm_epsilon, dtype=shape.dtype, name=f"norm{name}"
      )
      drop = nn.Dropout(
        shape.dropout, deterministic=not train, name=f"dropout{name}"
      )
      if shape.norm == "pre":
        return x + drop(inner(norm(x)))
      return norm(x + drop(inner(x)))

    attention = Attention(
      shape.heads, shape.qkv_bias, shape.dtype, name="attention"
    )
    return add(add(x, lambda x: attention(x, mask), 1), self._mlp, 2)

  def _mlp(self, x: jax.Array) -> jax.Array:
    shape = self.shape
    y = dense(shape.mlp_width, "mlp_in", shape.dtype)(x)
    y = activations.by_name(shape.activation)(y)
    return dense(x.shape[-1], "mlp_out", shape.dtype)(y)
