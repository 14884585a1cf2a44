"""The mixed batch: every example its own composition, compiled once.

At each unit the examples whose bit is set run through the teacher's unit and
the others through the student's. How many there are of each is static, only
which ones is data, so one compile serves all compositions, and a step costs
what one composition costs on average, less what the networks' own passes
know.
"""

import math
import operator
import types
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp

from pwl_jax.method.composition import STUDENT, TEACHER
from pwl_jax.method.feature import Feature, values_of
from pwl_jax.method.network import Pass, Variables
from pwl_jax.method.swapnet import SwapNet

# Images run in eights: a convolution of 29 took XLA six times as long as of 32.
ROWS = 8
NOTHING = types.MappingProxyType({})


def mixed_pass(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  masks: jax.Array,
  teacher_counts: Sequence[int],
  *,
  train: bool = False,
  key: jax.Array | None = None,
  passes: Mapping[str, Pass] = NOTHING,
  leading_counts: Mapping[str, Sequence[int]] = NOTHING,
) -> Pass:
  """Runs example j by the composition masks[j], [b, N]; True = teacher.

  Column i of `masks` must hold `teacher_counts[i]` trues; a sampler states
  its own. In evaluation mode an example's logits are those of its composition
  run alone. Features are not kept: half of each belongs to either network.

  `passes` are those of the teacher, "T", and of the student, "S", over the same
  x, as far as they are there. One spares its network's unit i
  `leading_counts[letter][i]` examples, and unit 0 all: at least so many run
  this network alone up to there. A pass of the student has the same `train`,
  and if that is true, the student is `repeatable`.
  """
  x, masks = jnp.asarray(x), jnp.asarray(masks)
  swapnet.teacher.check_input(x)
  check_masks(swapnet, x, masks, teacher_counts, leading_counts)
  # Both widths of every example's feature, and where example j stands in them.
  pools = {TEACHER: x, STUDENT: x}
  position = jnp.arange(len(x))
  batch_stats = {}
  for i, count in enumerate(teacher_counts):
    order = _in_halves(masks, i)
    outputs = {}
    for letter, half in ((TEACHER, order[:count]), (STUDENT, order[count:])):
      spared = 0
      if letter in passes:
        leading = leading_counts.get(letter, ())
        spared = _spared(i, half.size, leading, pools[letter])
      known, rows = jnp.split(half, [spared])
      parts = []
      if known.size:
        parts.append(_take(_behind(passes[letter], i), known))
      if rows.size:  # Batch statistics of no examples would be NaN.
        feature = _take(pools[letter], position[rows])
        output, stats = swapnet.run_unit(
          variables, i, letter, feature, train=train, key=key
        )
        parts.append(output)
        batch_stats.update(stats)
      if parts:
        outputs[letter] = _joined(parts)
    position = jnp.argsort(order)
    if i < swapnet.num_units - 1:
      pools = _both_widths(swapnet, variables, i, outputs)
  logits = _take(_joined(outputs.values()), position)
  return Pass(logits, (), batch_stats)


def _spared(
  i: int, count: int, leading: Sequence[int], feature: Feature
) -> int:
  """How many of a half need not run unit i, which a pass of its network ran."""
  if i == 0:
    return count
  led = leading[i] if i < len(leading) else 0
  together = ROWS if values_of(feature).ndim == 4 else 1
  return max(0, count - math.ceil((count - led) / together) * together)


def _in_halves(masks: jax.Array, i: int) -> jax.Array:
  """The teacher's examples, then the student's.

  In each half those stand first that one network alone has run.
  """
  led = (masks[:, : i + 1] == masks[:, :1]).all(axis=1)
  return jnp.argsort(2 * masks[:, i] + led, stable=True, descending=True)


def _behind(own: Pass, i: int) -> Feature:
  return (*own.features, own.logits)[i]


def _take(pool: Feature, rows: jax.Array) -> Feature:
  """Distinct rows; saying so spares their gradient a scatter with atomics."""

  def take(leaf):
    return leaf.at[rows].get(unique_indices=True, mode="promise_in_bounds")

  return jax.tree.map(take, pool)


def _joined(features: Iterable[Feature]) -> Feature:
  return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *features)


def _both_widths(swapnet, variables, i, outputs):
  """Gives each half its other width; the teacher's half stands first."""
  pools = {TEACHER: [], STUDENT: []}
  for letter, feature in outputs.items():
    for width, pool in pools.items():
      own = width == letter
      pool.append(
        feature if own else swapnet.convert(variables, i, width, feature)
      )
  return {width: _joined(pool) for width, pool in pools.items()}


def check_masks(swapnet, x, masks, teacher_counts, leading_counts=NOTHING):
  """Raises where masks and counts do not belong together.

  Shapes are always seen, values not while they are traced: counts that do not
  fit then put examples on the other network without a word.
  """
  expected = (x.shape[0], swapnet.num_units)
  if masks.shape != expected or len(teacher_counts) != expected[1]:
    raise ValueError(
      f"masks of shape {masks.shape} with {len(teacher_counts)} teacher counts "
      f"do not fit: {expected[0]} examples and {expected[1]} units need masks "
      f"of shape {expected} and one count per unit; draw both from the same "
      "sampler with this batch size and number of units"
    )
  if isinstance(masks, jax.core.Tracer):
    return
  masks = jax.device_get(masks)
  found = tuple(masks.sum(axis=0).tolist())
  if found != tuple(teacher_counts):
    raise ValueError(
      f"the masks put {found} examples on the teacher at each unit, but the "
      f"teacher counts say {tuple(teacher_counts)}; take both from the same "
      "sampler"
    )
  for letter, counts in leading_counts.items():
    own = masks == (letter == TEACHER)
    led = tuple(own.cumprod(axis=1).sum(axis=0).tolist())
    if any(map(operator.gt, counts, led)):
      raise ValueError(
        f"{led} examples run {letter} alone up to each unit, but the leading "
        f"counts say at least {tuple(counts)}; take both from the same sampler"
      )
