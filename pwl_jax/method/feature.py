"""What passes between units: values, and which positions of them count.

A feature is an array, [b, ..., c], or where examples have different lengths a
`Masked`: a pytree, all of whose leaves have the batch as their first axis. The
mask travels with the values over boundaries and through converters, which
change the values alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Masked(NamedTuple):
  """Values at positions of which some are padding."""

  values: jax.Array  # [b, positions, c]
  mask: jax.Array  # bool[b, positions]; False where there is nothing.


Feature = jax.Array | Masked


def values_of(feature: Feature) -> jax.Array:
  return feature.values if isinstance(feature, Masked) else feature


def mask_of(feature: Feature) -> jax.Array | None:
  """None where every position counts."""
  return feature.mask if isinstance(feature, Masked) else None


def with_values(feature: Feature, values: jax.Array) -> Feature:
  """The same positions, other channels."""
  if isinstance(feature, Masked):
    return feature._replace(values=values)
  return values


def paired_rows(
  teacher: Feature, student: Feature
) -> tuple[jax.Array, jax.Array]:
  """[..., c] x 2 -> float32[n, c] x 2: every position is a row.

  Padding is rows of the mean of all others: it changes no mean, and nothing
  that is seen from there. How many count is data, and shapes are not.
  """
  mask = mask_of(teacher)

  def rows_of(feature):
    rows = values_of(feature).astype(jnp.float32)
    if mask is not None:
      count = jnp.maximum(mask.sum(), 1)
      mean = jnp.where(mask[..., None], rows, 0).sum((0, 1)) / count
      rows = jnp.where(mask[..., None], rows, mean)
    return rows.reshape(-1, rows.shape[-1])

  return rows_of(teacher), rows_of(student)


def packed(feature: Feature) -> jax.Array | tuple[jax.Array, jax.Array]:
  """In types that need no code of ours: an array, or values and mask."""
  return tuple(feature) if isinstance(feature, Masked) else feature


def unpacked(feature: jax.Array | tuple[jax.Array, jax.Array]) -> Feature:
  """The inverse of `packed`."""
  return Masked(*feature) if isinstance(feature, tuple) else feature
