"""Rounding inside of training: what is served is what is trained.

  logits = student(fake_quantised(params, "int8", batch_stats), images)

The forward pass sees the numbers of `leaves.rounded`, the gradient passes as
if nothing had been rounded (straight through), and the optimizer keeps params
of full precision. In float32 nothing is touched: the program is the same.
In int8 and int4 batch norms stay as they are: bundles have in float16 what
they come to with their statistics, and those move until training has ended.
"""

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pwl_jax.compress import rounding
from pwl_jax.compress.leaves import (
  LEAST,
  OF_EACH,
  OF_LARGEST,
  PARAMS,
  STATISTICS,
  WHOLE,
  has_scales,
  is_even,
  is_of_norm,
)
from pwl_jax.compress.rounding import GROUP, MOST, PRECISIONS
from pwl_jax.method.checks import check_choice
from pwl_jax.method.network import unit_name
from pwl_jax.method.variables import merge, split

NO_STATS: Mapping[str, Any] = types.MappingProxyType({})
# Of float16: numbers below are no longer relative to their size.
SMALLEST_HALF, STEP, LARGEST_HALF = 2.0**-14, 2.0**-24, 65504.0


def fake_quantised(
  params: Any, precision: str, batch_stats: Mapping[str, Any] = NO_STATS
) -> Any:
  """The parameters of a unit, rounded; its statistics tell its batch norms.

  Weights below 1e-38 may count as zero here, as processors take them.
  """
  check_choice("precision", precision, PRECISIONS)
  if precision == "float32":
    return params
  beside = jax.tree.leaves_with_path({STATISTICS: batch_stats})
  names = {_name(path) for path, _ in beside}

  def as_served(path, leaf):
    if precision in WHOLE and is_of_norm(PARAMS + _name(path), names):
      return leaf
    return _rounded(precision, leaf)

  return jax.tree.map_with_path(as_served, params)


def _name(path: Any) -> str:
  return jax.tree_util.keystr(path, simple=True, separator="/")


def fake_quantised_units(
  units: Mapping[str, Any],
  precisions: Sequence[str],
  batch_stats: Mapping[str, Any] = NO_STATS,
) -> dict[str, Any]:
  """The params of a network, unit -> ..., each unit in its own precision."""
  if len(precisions) != len(units):
    raise ValueError(
      f"{len(precisions)} precisions {tuple(precisions)} do not fit a network "
      f"of {len(units)} units; give one for each"
    )
  return {
    name: fake_quantised(units[name], precision, batch_stats.get(name, {}))
    for name, precision in zip(
      map(unit_name, range(len(units))), precisions, strict=True
    )
  }


def fake_quantised_network(
  variables: Mapping[str, Any], precisions: Sequence[str]
) -> dict[str, Any]:
  """The variables of a network, unit -> collection; statistics as they are."""
  params, batch_stats = split({"network": variables})
  params["network"] = fake_quantised_units(
    params["network"], precisions, batch_stats.get("network", {})
  )
  return merge(params, batch_stats)["network"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _rounded(precision: str, leaf: jax.Array) -> jax.Array:
  if leaf.dtype != jnp.float32:
    return leaf
  if precision == "bfloat16":
    # A cast there and back is what XLA takes out.
    return jax.lax.reduce_precision(leaf, exponent_bits=8, mantissa_bits=7)
  if not has_scales(leaf.shape):
    return _rounded_vector(leaf)
  rows = leaf.reshape(rounding.rows_of(leaf.shape), leaf.shape[-1])
  most = MOST[precision]
  if precision == "int8":
    scale = rounding.scales_for(abs(rows).max(axis=0, initial=0), most)
  else:
    sizes = jnp.pad(abs(rows), ((0, -len(rows) % GROUP), (0, 0)))
    peaks = rounding.group_peaks(sizes, GROUP)
    scale = rounding.scales_for(peaks, most)
    scale = rounding.by_rows(scale, len(rows), GROUP)
  return (rounding.nearest(rows, scale, most) * scale).reshape(leaf.shape)


@_rounded.defjvp
def _straight_through(precision, primals, tangents):
  return _rounded(precision, *primals), *tangents


def _rounded_vector(leaf: jax.Array) -> jax.Array:
  """In int8 with one scale, where that does for all of its numbers."""
  half = _halved(leaf)
  if leaf.size < LEAST:
    return half
  most = MOST["int8"]
  scale = rounding.scales_for(abs(leaf).max(), most)
  whole = rounding.nearest(leaf, scale, most) * scale
  return jnp.where(is_even(leaf), whole, half)


def _halved(leaf: jax.Array) -> jax.Array:
  """As `leaves.halved`: through float16, where that loses next to nothing."""
  small = (leaf / STEP).round() * STEP
  normal = jax.lax.reduce_precision(leaf, exponent_bits=8, mantissa_bits=10)
  sizes = abs(leaf)
  half = jnp.where(sizes < SMALLEST_HALF, small, normal)
  allowed = jnp.maximum(OF_EACH * sizes, OF_LARGEST * sizes.max(initial=0))
  survives = (abs(half - leaf) <= allowed) & (abs(half) <= LARGEST_HALF)
  return jnp.where(survives.all(), half, leaf)
