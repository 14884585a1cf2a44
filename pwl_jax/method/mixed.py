"""The mixed batch: every example its own composition, compiled once.

At each unit the examples whose bit is set run through the teacher's unit and
the others through the student's. How many there are of each is static, only
which ones is data, so one compile serves all compositions, and a step costs
what one composition costs on average, less what the teacher's own pass knows.
"""

import itertools
import math
import operator
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp

from pwl_jax.method.composition import STUDENT, TEACHER
from pwl_jax.method.feature import Feature
from pwl_jax.method.network import Pass, Variables
from pwl_jax.method.swapnet import SwapNet

ROWS = 8  # A convolution of 29 images took XLA six times as long as one of 32.


def mixed_pass(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  masks: jax.Array,
  teacher_counts: Sequence[int],
  *,
  train: bool = False,
  key: jax.Array | None = None,
  teacher: Pass | None = None,
  leading_counts: Sequence[int] = (),
) -> Pass:
  """Runs example j by the composition masks[j], [b, N]; True = teacher.

  Column i of `masks` must hold `teacher_counts[i]` trues; a sampler states
  its own. In evaluation mode an example's logits are those of its composition
  run alone. Features are not kept: half of each belongs to either network.

  A pass of the teacher over the same x spares unit i of `leading_counts[i]`
  examples, of the first unit's of all: at least so many examples run the
  teacher's units alone up to there.
  """
  x, masks = jnp.asarray(x), jnp.asarray(masks)
  swapnet.teacher.check_input(x)
  leading_counts = leading_counts or teacher_counts[:1]
  check_masks(swapnet, x, masks, teacher_counts, leading_counts)
  known = () if teacher is None else (*teacher.features, teacher.logits)
  # Both widths of every example's feature, and where example j stands in them.
  teacher_pool = student_pool = x
  position = jnp.arange(len(x))
  batch_stats = {}
  counts = itertools.zip_longest(teacher_counts, leading_counts, fillvalue=0)
  for i, (count, least) in enumerate(counts):
    spared = _spared(count, least) if known else 0
    order = _teachers_first(masks, i)
    halves = {TEACHER: [], STUDENT: []}
    if spared:
      halves[TEACHER].append(_take(known[i], order[:spared]))
    for letter, pool, rows in (
      (TEACHER, teacher_pool, order[spared:count]),
      (STUDENT, student_pool, order[count:]),
    ):
      if not rows.size:  # Batch statistics of no examples would be NaN.
        continue
      output, stats = swapnet.run_unit(
        variables, i, letter, _take(pool, position[rows]), train=train, key=key
      )
      halves[letter].append(output)
      batch_stats.update(stats)
    outputs = {of: _joined(parts) for of, parts in halves.items() if parts}
    position = jnp.argsort(order)
    if i < swapnet.num_units - 1:
      teacher_pool, student_pool = _both_widths(swapnet, variables, i, outputs)
  logits = _take(_joined(outputs.values()), position)
  return Pass(logits, (), batch_stats)


def _spared(count: int, least: int) -> int:
  """How many need not run, where those that run come in eights."""
  return max(0, count - math.ceil((count - least) / ROWS) * ROWS)


def _teachers_first(masks: jax.Array, i: int) -> jax.Array:
  """Those that only the teacher ran up to unit i, its others, the rest."""
  led = masks[:, : i + 1].all(axis=1)
  return jnp.argsort(
    led.astype(int) + masks[:, i], stable=True, descending=True
  )


def _take(pool: Feature, rows: jax.Array) -> Feature:
  """Distinct rows; saying so spares their gradient a scatter with atomics."""

  def take(leaf):
    return leaf.at[rows].get(unique_indices=True, mode="promise_in_bounds")

  return jax.tree.map(take, pool)


def _joined(features: Iterable[Feature]) -> Feature:
  return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *features)


def _both_widths(swapnet, variables, i, outputs):
  """Gives each half its other width; the teacher's half stands first."""
  teacher_pool, student_pool = [], []
  for letter, feature in outputs.items():
    from_teacher = letter == TEACHER
    convert = swapnet.encode if from_teacher else swapnet.decode
    converted = convert(variables, i, feature)
    teacher_pool.append(feature if from_teacher else converted)
    student_pool.append(converted if from_teacher else feature)
  return _joined(teacher_pool), _joined(student_pool)


def check_masks(swapnet, x, masks, teacher_counts, leading_counts=()):
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
  led = tuple(masks.cumprod(axis=1).sum(axis=0).tolist())
  if any(map(operator.gt, leading_counts, led)):
    raise ValueError(
      f"{led} examples run the teacher alone up to each unit, but the leading "
      f"counts say at least {tuple(leading_counts)}; take both from the same "
      "sampler"
    )
