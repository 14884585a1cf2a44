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
  """[..., c] x 2 -> float32[n, c] x 2: every position that counts is a row.

  Not to be traced where there is a mask: how many count is data.
  """
  mask = mask_of(teacher)
  flat = [
    f.reshape(-1, f.shape[-1]).astype(jnp.float32)
    for f in (values_of(teacher), values_of(student))
  ]
  if mask is None:
    return flat[0], flat[1]
  return flat[0][mask.reshape(-1)], flat[1][mask.reshape(-1)]


def packed(feature: Feature) -> jax.Array | tuple[jax.Array, jax.Array]:
  """In types that need no code of ours: an array, or values and mask."""
  return tuple(feature) if isinstance(feature, Masked) else feature


def unpacked(feature: jax.Array | tuple[jax.Array, jax.Array]) -> Feature:
  """The inverse of `packed`."""
  return Masked(*feature) if isinstance(feature, tuple) else feature
