"""Batch norms as what they come to: two numbers per channel, of four.

Where statistics are given, a batch norm is a product and a sum:

  scale (x - mean) / sqrt(var + epsilon) + bias = factor x + shift

A unit is `folded` where its norms hold these as their scale and bias, with a
mean of 0 and a variance that leaves x as it is. It runs in the same modules,
and the statistics, all alike, are not worth storing. Whoever measures new ones
needs the norms as they were trained: `unfolded`. Leaves are flat, by path.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Leaves = Mapping[str, Any]


class Norm(NamedTuple):
  """The names of its leaves."""

  scale: str
  bias: str
  mean: str
  variance: str


def norm_at(path: str) -> Norm:
  """The norm at a path in its unit; "" where it is the unit."""
  path = f"{path}/" if path else ""
  params, stats = f"params/{path}", f"batch_stats/{path}"
  return Norm(f"{params}scale", f"{params}bias", f"{stats}mean", f"{stats}var")


def folded(
  leaves: Leaves, epsilons: Mapping[str, float]
) -> dict[str, np.ndarray]:
  """The same unit, with these norms as products and sums."""
  found = dict(leaves)
  for path, epsilon in epsilons.items():
    norm = norm_at(path)
    scale, bias, mean, variance = (_precise(leaves[name]) for name in norm)
    factor = scale / np.sqrt(variance + epsilon)
    found |= _norm(
      norm,
      factor,
      bias - factor * mean,
      np.zeros_like(mean),
      np.full_like(variance, 1 - epsilon),
    )
  return found


def unfolded(
  leaves: Leaves, trained: Leaves, epsilons: Mapping[str, float]
) -> dict[str, np.ndarray]:
  """The same folded unit, with the statistics that it was trained with."""
  found = dict(leaves)
  for path, epsilon in epsilons.items():
    norm = norm_at(path)
    factor, shift = (_precise(leaves[name]) for name in norm[:2])
    mean, variance = (_precise(trained[name]) for name in norm[2:])
    scale = factor * np.sqrt(variance + epsilon)
    found |= _norm(norm, scale, shift + factor * mean, mean, variance)
  return found


def statistics_folded(
  measured: Leaves, trained: Leaves, epsilons: Mapping[str, float]
) -> dict[str, np.ndarray]:
  """Statistics for the folded unit that do what `measured` do for the unit.

  The unit was `trained` with others; a variance may come out negative, and
  more than that by epsilon.
  """
  found = dict(measured)
  for path, epsilon in epsilons.items():
    _, _, *names = norm_at(path)
    mean, variance = (_precise(measured[name]) for name in names)
    own_mean, own_variance = (_precise(trained[name]) for name in names)
    ratio = (variance + epsilon) / (own_variance + epsilon)
    moved = mean - own_mean * np.sqrt(ratio), ratio - epsilon
    found |= dict(zip(names, map(_float32, moved), strict=True))
  return found


def _norm(norm: Norm, *values: np.ndarray) -> dict[str, np.ndarray]:
  return dict(zip(norm, map(_float32, values), strict=True))


def _precise(leaf: Any) -> np.ndarray:
  return np.asarray(leaf, np.float64)


def _float32(values: np.ndarray) -> np.ndarray:
  return values.astype(np.float32)
