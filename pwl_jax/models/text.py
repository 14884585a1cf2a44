"""Text: a Transformer encoder over token ids, a few layers to a unit.

The first unit takes int[b, t] ids, embeds them with their positions, and says
which of them count: all but `pad_id`. A feature is `Masked`, [b, t, width];
the last unit pools over the positions that count and holds the head.

Padding never changes an answer. It is no key of any attention, its values are
zero behind every unit, and the pooling leaves it out, so whatever a converter
puts there is never seen. A row of nothing but padding is answered as if its
pooled vector were zero: with the bias of the head where there is no pooler.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.checks import check_choice
from pwl_jax.method.feature import Feature, Masked
from pwl_jax.models import activations, layers
from pwl_jax.models.embedding import Embed, Vocabulary
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

POOLERS = ("tanh", "relu")


def text(
  *,
  vocab_size: int,
  width: int,
  heads: int,
  mlp_width: int,
  num_layers: int,
  layers_per_unit: int | Sequence[int],
  max_length: int,
  norm: str = "pre",
  activation: str = "gelu",
  norm_epsilon: float = 1e-12,
  token_types: int = 0,
  pad_id: int = 0,
  pooling: str = "mean",
  pooler: str | None = None,
  num_classes: int = 2,
  dtype: layers.Dtype = jnp.float32,
  dropout: float = 0.0,
) -> tuple[nn.Module, ...]:
  """Units of `layers_per_unit` layers each, for up to `max_length` tokens.

  Args:
    vocab_size: ids are below it; one that is not makes its answer NaN.
    width: channels of a token.
    heads: of the attention; they share out the width.
    mlp_width: inside the MLP of a layer.
    num_layers: of the whole network.
    layers_per_unit: one number, or one per unit.
    max_length: the number of positions there are vectors for.
    norm: "pre", with a LayerNorm before each part of a layer and one before
      the pooling, or "post", with one behind each part and one behind the
      embedding, as in BERT.
    activation: of the MLPs, a name in `activations.ACTIVATIONS`.
    norm_epsilon: of every LayerNorm.
    token_types: how many kinds of token have a vector that is added to
      theirs; all tokens are of the first kind. 0 adds none.
    pad_id: the id that is no token.
    pooling: "mean" over the positions that count, or the "first" position.
    pooler: the activation of a dense layer between pooling and head, "tanh"
      as in BERT or "relu" as in DistilBERT; `None` for no such layer.
    num_classes: of the head.
    dtype: to compute in; parameters and logits are float32.
    dropout: of embeddings, of what each part of a layer adds and of what the
      head is given, in training.
  """
  check_heads(heads, width)
  check_choice("pooling", pooling, POOL)
  if pooler is not None:
    check_choice("pooler", pooler, POOLERS, otherwise="None for no pooler")
  depths = unit_depths(num_layers, layers_per_unit)
  vocabulary = Vocabulary(vocab_size, max_length, token_types, pad_id)
  layer = LayerShape(
    heads=heads,
    mlp_width=mlp_width,
    qkv_bias=True,
    activation=activation,
    norm_epsilon=norm_epsilon,
    dtype=dtype,
    norm=norm,
    dropout=dropout,
  )
  return tuple(
    TextUnit(
      width=width,
      depth=depth,
      layer=layer,
      vocabulary=None if i else vocabulary,
      num_classes=num_classes if i == len(depths) - 1 else None,
      pooling=pooling,
      pooler=pooler,
    )
    for i, depth in enumerate(depths)
  )


class TextUnit(nn.Module):
  """Layers; the first unit embeds before them, the last has the head."""

  width: int
  depth: int
  layer: LayerShape
  vocabulary: Vocabulary | None = None
  num_classes: int | None = None
  pooling: str = "mean"
  pooler: str | None = None

  @nn.compact
  def __call__(self, feature: Feature, *, train: bool) -> Feature:
    """int[b, t] or Masked [b, t, width] -> Masked [b, t, width] or logits."""
    layer = self.layer
    if self.vocabulary is not None:
      embed = Embed(self.width, self.vocabulary, layer, name="embed")
      feature = embed(feature, train=train)
    x, mask = feature
    for i in range(self.depth):
      x = Layer(layer, name=f"layer{i}")(x, mask=mask, train=train)
    if self.num_classes is None:
      return Masked(_where(mask, x), mask)
    if layer.norm == "pre":
      epsilon = layer.norm_epsilon
      x = LayerNorm(epsilon, dtype=layer.dtype, name="norm")(x)
    x = POOL[self.pooling](x, mask)
    if self.pooler is not None:
      dense = nn.Dense(
        self.width, kernel_init=init, dtype=layer.dtype, name="pooler"
      )
      x = activations.by_name(self.pooler)(dense(x))
    x = nn.Dropout(layer.dropout, deterministic=not train, name="dropout")(x)
    return layers.head(self.num_classes)(x)

  def inner_channels(self) -> tuple[Inner, ...]:
    return inner_channels(self.depth)

  def narrowed(self, keep: Keep) -> "TextUnit":
    return self.clone(layer=narrowed(self.layer, keep))


def _where(mask: jax.Array, x: jax.Array) -> jax.Array:
  """[b, t, c], with zeros at the positions that do not count."""
  return jnp.where(mask[..., None], x, 0)


def _mean(x: jax.Array, mask: jax.Array) -> jax.Array:
  """[b, t, c] -> [b, c], summed up in float32; zero over no positions."""
  count = jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1)
  return jnp.sum(_where(mask, x), axis=1, dtype=jnp.float32) / count


def _first(x: jax.Array, mask: jax.Array) -> jax.Array:
  """[b, t, c] -> [b, c]; zero where position 0 is padding."""
  return _where(mask, x)[:, 0]


POOL = {"mean": _mean, "first": _first}
