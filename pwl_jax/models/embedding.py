"""What comes before the layers of a text network: ids become vectors."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.feature import Masked
from pwl_jax.method.network import Network
from pwl_jax.models.layer_norm import LayerNorm
from pwl_jax.models.transformer import LayerShape, init


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """What ids can be, and how many there can be of them."""

  size: int
  max_length: int
  token_types: int
  pad_id: int

  def __post_init__(self):
    least = dict(size=1, max_length=1, token_types=0, pad_id=0)
    for name, low in least.items():
      value = getattr(self, name)
      if value < low:
        raise ValueError(f"{name} is {value}; it has to be at least {low}")
    if self.pad_id >= self.size:
      raise ValueError(
        f"pad_id {self.pad_id} is not in a vocabulary of {self.size} ids; use "
        "one below"
      )

  def check(self, ids: jax.Array):
    """Raises where an array cannot be a batch of ids."""
    if ids.ndim != 2 or not 0 < ids.shape[1] <= self.max_length:
      raise ValueError(
        f"token ids of shape {list(ids.shape)} do not fit: expected [b, t] "
        f"with t from 1 to {self.max_length}; cut longer texts, or build the "
        "network with a larger max_length"
      )
    if not jnp.issubdtype(ids.dtype, jnp.integer):
      raise ValueError(
        f"token ids are whole numbers, got {ids.dtype}; give the network "
        'input_dtype="int32" and the ids as integers'
      )


def vocabulary(network: Network) -> Vocabulary | None:
  """What tokens it takes; None if it takes none."""
  return getattr(network.units[0], "vocabulary", None)


class Embed(nn.Module):
  """Ids as vectors, each with its position."""

  width: int
  vocabulary: Vocabulary
  layer: LayerShape

  @nn.compact
  def __call__(self, ids: jax.Array, *, train: bool) -> Masked:
    """int[b, t] -> [b, t, width]."""
    vocabulary, layer = self.vocabulary, self.layer
    vocabulary.check(ids)
    words = self._table("words", vocabulary.size)
    x = words.at[ids].get(
      mode="fill", fill_value=jnp.nan, wrap_negative_indices=False
    )
    x += self._table("positions", vocabulary.max_length)[: ids.shape[1]]
    if vocabulary.token_types:
      x += self._table("token_types", vocabulary.token_types)[0]
    x = x.astype(layer.dtype)
    if layer.norm == "post":
      x = LayerNorm(layer.norm_epsilon, dtype=layer.dtype, name="norm")(x)
    x = nn.Dropout(layer.dropout, deterministic=not train, name="dropout")(x)
    return Masked(x, ids != vocabulary.pad_id)

  def _table(self, name: str, rows: int) -> jax.Array:
    return self.param(name, init, (rows, self.width), jnp.float32)
