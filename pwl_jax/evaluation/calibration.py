"""Batch statistics for half-replaced networks, measured forward only.

Behind a switch a unit sees other features than it was trained on, and its
running averages do not fit them. They are measured anew on training examples,
from the first switch on: what lies before it runs as it did in its own
network. So statistics belong to a beginning of compositions, a node of the
tree, and "TSSS" and "TSST" share those of "TS" and "TSS". Teacher and student
themselves have no switch and keep their own.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pwl_jax.evaluation.tree import Statistics, nodes_of, walk
from pwl_jax.method import composition as compositions
from pwl_jax.method.network import Variables, unit_name
from pwl_jax.method.norms import (
  STATS,
  at_batch_norms,
  axes_of,
  put_statistics,
)
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.accuracy import Batches
from pwl_jax.training.parallel import Devices, on_all
from pwl_jax.training.step import AXIS


def nodes_to_calibrate(swapnet: SwapNet, words: Sequence[str]) -> list[str]:
  """The beginnings with a switch whose last unit has batch statistics."""
  shapes = swapnet.abstract_variables()
  return [
    node
    for i in range(swapnet.num_units)
    for node in nodes_of(words, i)
    if len(set(node)) > 1 and STATS in swapnet.unit(shapes, i, node[-1])[1]
  ]


def make_calibration(
  swapnet: SwapNet,
  words: Sequence[str],
  *,
  normalise: Callable[[jax.Array], jax.Array],
  devices: Devices,
) -> Callable[..., Statistics]:
  """Returns calibrate(variables, batches) -> node -> batch statistics.

  Every batch is normalised by its own mean and variance, as in training; what
  comes out are those of all examples together, as if they were one batch per
  layer. `batches` should be large, a few hundred examples.
  """
  wanted = frozenset(nodes_to_calibrate(swapnet, words))

  def measure(variables, raw, counts):
    found = {}
    share = counts / jax.lax.psum(counts.sum(), AXIS)

    def run(i, letter, nodes, inputs):
      unit, own = swapnet.unit(variables, i, letter)
      measured = jax.vmap(functools.partial(_measure, unit, own, share))
      anew = np.array([node in wanted for node in nodes])
      outputs, stats = measured(inputs, anew)
      for k in np.flatnonzero(anew):
        found[nodes[k]] = jax.tree.map(lambda leaf, k=k: leaf[k], stats)
      return outputs

    walk(swapnet, variables, normalise(raw), words, run)
    return found

  run = on_all(measure, devices, apart=(False, True, True))

  def calibrate(
    variables: Variables,
    batches: Batches,
    watch: Callable[[Iterable], Iterable] = iter,
  ) -> Statistics:
    """`watch` is given the batches and passes them on, one by one."""
    moments, weight, left = None, 0, len(batches)
    for raw, _, counts in watch(batches):
      examples = min(left, len(counts))
      left -= examples
      found = _moments(jax.device_get(run(variables, raw, counts)))
      found = jax.tree.map(lambda leaf, n=examples: n * leaf, found)
      weight += examples
      moments = (
        found if moments is None else jax.tree.map(np.add, moments, found)
      )
    return _statistics(jax.tree.map(lambda leaf: leaf / weight, moments))

  return calibrate


def calibrated_variables(
  variables: Variables, word: str, statistics: Statistics
) -> dict[str, Any]:
  """The variables with which one composition runs on its statistics.

  The networks' own stay as they are; units that share a node share arrays.
  """
  found = {role: dict(units) for role, units in variables.items()}
  for i, letter in enumerate(word):
    if word[: i + 1] in statistics:
      role, name = compositions.ROLES[letter], unit_name(i)
      found[role][name] = {
        **found[role][name], STATS: statistics[word[: i + 1]]
      }  # fmt: skip
  return found


def _measure(unit, own, share, x, anew):
  """Runs a unit; where `anew`, on the statistics of this batch.

  In evaluation mode but for its batch norms, so that nothing is dropped, and
  over the batch of all devices. `share` is what each example counts, of 1.
  """

  def know(norm, x):
    old = (norm.get_variable(STATS, name) for name in ("mean", "var"))
    new = _mean_and_variance(x, share, *axes_of(norm, x))
    put_statistics(norm, *map(functools.partial(jnp.where, anew), new, old))

  with at_batch_norms(know):
    output, changed = unit.apply(own, x, train=False, mutable=[STATS])
  return output, changed.get(STATS, {})


def _mean_and_variance(x, share, channel, axes):
  """Per channel, in float32, of the batch of all devices."""
  x = x.astype(jnp.float32)
  weights = share.reshape(-1, *[1] * (x.ndim - 1))
  positions = x.size // (x.shape[0] * x.shape[channel])

  def mean(values):
    return jax.lax.psum((values * weights).sum(axes), AXIS) / positions

  center = mean(x)
  shape = [-1 if a == channel else 1 for a in range(x.ndim)]
  return center, mean((x - center.reshape(shape)) ** 2)


def _moments(tree: Any) -> Any:
  """mean, var -> mean, mean square, which can be averaged; in float64."""
  return _map_norms(tree, lambda mean, var: (mean, var + mean**2))


def _statistics(tree: Any) -> Any:
  """The inverse of `_moments`."""
  found = _map_norms(
    tree, lambda mean, square: (mean, np.maximum(square - mean**2, 0))
  )
  return jax.tree.map(lambda leaf: leaf.astype(np.float32), found)


def _map_norms(tree: Any, function: Callable) -> Any:
  if not isinstance(tree, Mapping):
    return np.asarray(tree, np.float64)
  found = {name: _map_norms(inner, function) for name, inner in tree.items()}
  if found.keys() >= {"mean", "var"}:
    found["mean"], found["var"] = function(found["mean"], found["var"])
  return found
