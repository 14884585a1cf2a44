"""Scales that keep what a layer gives, rather than its weights.

Plain rounding takes the scale that reaches the largest weight. What counts is
how far the outputs move: for a channel with weights w, rounded to q s, that is
(w - q s)' H (w - q s), where H sums up the products of the layer's inputs over
a batch. Inputs hang together, and are rarely below zero: which way weights are
rounded matters more than how far, and with some scales they make up for each
other. Smaller ones clip a few weights, and round all others finer.

  scales = fit_scales(network, variables, inputs, "int4")
  stored = encode(leaves, "int4", scales=scales["unit0"])

Layers are dense ones and convolutions; what is no layer's kernel, such as the
vectors of tokens, keeps the scales of plain rounding.
"""

import collections
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from pwl_jax.bundle.names import flat
from pwl_jax.compress import rounding
from pwl_jax.compress.leaves import WHOLE, has_scales
from pwl_jax.compress.rounding import GROUP, MOST, rows_of
from pwl_jax.method.checks import check_choice
from pwl_jax.method.feature import Feature, mask_of
from pwl_jax.method.network import Network, Variables, apply_unit, unit_name

Grams = dict[str, Any]  # Leaf name -> [rows, rows], of a layer's inputs.
# Of the plain scale, to be tried; larger ones too, where luck may lie.
SHARES = np.linspace(1.2, 0.75, 24)
REFINE = 2  # Times that the best one is fitted to its whole numbers.
SWEEPS = 2  # Over groups, each of which sees what the others leave.


def fit_scales(
  network: Network,
  variables: Variables,
  inputs: np.ndarray,
  precision: str,
  *,
  batch_size: int = 32,
) -> dict[str, dict[str, np.ndarray]]:
  """Unit -> leaf -> scales, as `leaves.encode` takes them.

  Args:
    network: whose units are to be rounded.
    variables: of the network.
    inputs: a few hundred examples, as the network takes them.
    precision: "int8" or "int4".
    batch_size: examples that run at once; inputs of all layers of a unit are
      in memory together.
  """
  check_choice("precision", precision, WHOLE, otherwise="fit nothing")
  if not len(inputs):
    raise ValueError("scales are fitted to examples, and there are none")
  found: dict[str, dict[str, np.ndarray]] = {}
  features: list[Feature] = [
    jnp.asarray(inputs[start : start + batch_size])
    for start in range(0, len(inputs), batch_size)
  ]
  for i, unit in enumerate(network.units):
    own, leaves = variables[unit_name(i)], flat(variables[unit_name(i)])
    run = jax.jit(functools.partial(grams, unit))
    total: Grams = collections.defaultdict(lambda: np.float64(0))
    for k, feature in enumerate(features):
      features[k], measured = run(own, feature)
      for name, gram in measured.items():
        total[name] = total[name] + np.asarray(gram, np.float64)
    found[unit_name(i)] = {
      name: fit(np.asarray(leaves[name]), gram, precision)
      for name, gram in total.items()
    }
  return found


def fit(kernel: np.ndarray, gram: np.ndarray, precision: str) -> np.ndarray:
  """The scales of one kernel; by their `cost` none is worse than plain ones.

  Args:
    kernel: float32[..., c].
    gram: [rows, rows], sums of products of the inputs of its rows.
    precision: "int8" or "int4".
  """
  rows = np.asarray(kernel).reshape(rows_of(kernel.shape), -1)
  to = {"int8": rounding.to_int8, "int4": rounding.to_int4}[precision]
  plain = to(rows).scale.astype(np.float32).reshape(-1, rows.shape[1])
  group, most = _group(rows, precision), MOST[precision]
  scales, gram = plain.copy(), np.asarray(gram, np.float64)
  missed = _missed(rows, plain, precision)
  pull = gram @ missed
  for _ in range(SWEEPS if len(scales) > 1 else 1):
    for g in range(len(scales)):
      own = slice(g * group, (g + 1) * group)
      block = gram[own, own]
      others = pull[own] - block @ missed[own]
      best = _best(rows[own], scales[g], block, others, most)
      pull += gram[:, own] @ (best.missed - missed[own])
      scales[g], missed[own] = best.scale, best.missed
  better = cost(rows, scales, gram, precision) < cost(
    rows, plain, gram, precision
  )
  scales = np.where(better, scales, plain).astype(rounding.bfloat16())
  return scales[0] if precision == "int8" else scales


def cost(
  kernel: np.ndarray, scales: np.ndarray, gram: np.ndarray, precision: str
) -> np.ndarray:
  """float64[c], how far each output moves: squares, over all inputs."""
  rows = np.asarray(kernel).reshape(rows_of(kernel.shape), -1)
  scales = np.asarray(scales).astype(np.float32).reshape(-1, rows.shape[1])
  missed = _missed(rows, scales, precision)
  return (missed * (gram @ missed)).sum(axis=0)


def _group(rows: np.ndarray, precision: str) -> int:
  return len(rows) if precision == "int8" else GROUP


def _missed(rows, scales, precision: str) -> np.ndarray:
  """float64[rows, c], what rounding with these scales takes away."""
  scale = rounding.by_rows(scales, len(rows), _group(rows, precision))
  values = rounding.nearest(rows, scale, MOST[precision])
  return rows - values.astype(np.float64) * scale


class _Trial(NamedTuple):
  """Of one group of rows."""

  cost: np.ndarray  # [c]
  scale: np.ndarray  # float32[c], which bfloat16 has.
  values: np.ndarray  # [rows, c], whole numbers.
  missed: np.ndarray  # [rows, c]


def _best(rows, plain, block, others, most: int) -> _Trial:
  """The scales of one group with which it adds least to the cost.

  With all other groups as they are, that is e' block e + 2 e' others, for what
  it misses of its weights, e.
  """

  def trial(scale):
    limit = np.minimum(plain * np.float32(1.5), rounding.LARGEST / most)
    scale = np.clip(scale, plain / 8, limit).clip(rounding.SMALLEST)
    scale = scale.astype(rounding.bfloat16()).astype(np.float32)
    values = rounding.nearest(rows, scale, most).astype(np.float64)
    missed = rows - values * scale
    added = (missed * (block @ missed + 2 * others)).sum(axis=0)
    return _Trial(added, scale, values, missed)

  def better(old, new):
    wins = new.cost < old.cost
    pairs = zip(new, old, strict=True)
    return _Trial(*(np.where(wins, theirs, ours) for theirs, ours in pairs))

  best = trial(plain)
  for share in SHARES:
    best = better(best, trial(plain * share))
  for _ in range(REFINE):
    # To the same whole numbers belongs a scale in closed form.
    products = block @ best.values
    wanted = (products * rows + best.values * others).sum(axis=0)
    size = (products * best.values).sum(axis=0)
    unfitted = best.scale.astype(np.float64)
    fitted = np.divide(wanted, size, out=unfitted, where=size > 0)
    best = better(best, trial(fitted))
  return best


def grams(
  unit: nn.Module, variables: Mapping[str, Any], feature: Feature
) -> tuple[Feature, Grams]:
  """The output of a unit, and products of the inputs of its layers."""
  # By the arrays themselves: units that share scopes have other paths.
  names = {id(leaf): name for name, leaf in flat(variables).items()}
  seen = []  # Name, how to get from inputs to rows, inputs.

  def intercept(call, args, kwargs, context):
    module = context.module
    if context.method_name == "__call__" and isinstance(
      module, nn.Dense | nn.Conv
    ):
      kernel = module.get_variable("params", "kernel")
      name = names.get(id(kernel))
      if name and has_scales(kernel.shape) and not _is_grouped(module):
        seen.append((name, _patches(module, kernel.shape), args[0]))
    return call(*args, **kwargs)

  with nn.intercept_methods(intercept):
    output, _ = apply_unit(unit, variables, feature)
  mask = mask_of(feature) if mask_of(output) is None else mask_of(output)
  found: Grams = {}
  for name, patches, x in seen:
    x = x if patches is None else patches(x)
    found[name] = found.get(name, 0) + _gram(x, mask)
  return output, found


def _is_grouped(module: nn.Module) -> bool:
  """Whether a kernel's rows are not the inputs of all of its channels."""
  return getattr(module, "feature_group_count", 1) != 1


def _patches(module: nn.Module, shape: tuple[int, ...]) -> Any:
  """[...] -> [..., rows]: what the rows of a kernel are multiplied with.

  None where that is the layer's input. For a convolution it is what another
  one gives, which has every row for a channel of its own.
  """
  if isinstance(module, nn.Dense):
    return None
  rows = rows_of(shape)
  kernel = jnp.eye(rows).reshape(*shape[:-1], rows)
  every = module.clone(
    features=rows,
    use_bias=False,
    dtype=jnp.float32,
    precision="highest",
    parent=None,
    name=None,
  )
  return functools.partial(every.apply, {"params": {"kernel": kernel}})


def _gram(x: jax.Array, mask: jax.Array | None) -> jax.Array:
  """[..., rows] -> [rows, rows]; positions that are padding count nothing."""
  x = x.astype(jnp.float32)
  if mask is not None and x.ndim == 3 and x.shape[:2] == mask.shape:
    x = jnp.where(mask[..., None], x, 0)
  x = x.reshape(-1, x.shape[-1])
  return jnp.matmul(x.T, x, precision="highest")
