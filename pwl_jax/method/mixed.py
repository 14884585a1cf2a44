"""The mixed batch: every example its own composition, compiled once.

At each unit the examples whose bit is set run through the teacher's unit and
the others through the student's. How many there are of each is static, only
which ones is data, so one compile serves all compositions, and a step costs
what one composition costs on average.
"""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp

from pwl_jax.method.composition import STUDENT, TEACHER
from pwl_jax.method.feature import Feature
from pwl_jax.method.network import Pass, Variables
from pwl_jax.method.swapnet import SwapNet


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
) -> Pass:
  """Runs example j by the composition masks[j], [b, N]; True = teacher.

  Column i of `masks` must hold `teacher_counts[i]` trues; a sampler states
  its own. In evaluation mode an example's logits are those of its composition
  run alone. Features are not kept: half of each belongs to either network.
  A pass of the teacher over the same x spares its first unit.
  """
  x, masks = jnp.asarray(x), jnp.asarray(masks)
  swapnet.teacher.check_input(x)
  check_masks(swapnet, x, masks, teacher_counts)
  batch, num_units = masks.shape
  # Both widths of every example's feature, and where example j stands in them.
  teacher_pool = student_pool = x
  position = jnp.arange(batch)
  batch_stats = {}
  for i, count in enumerate(teacher_counts):
    order = jnp.argsort(~masks[:, i], stable=True)  # the teacher's come first
    outputs = {}
    for letter, pool, rows in (
      (TEACHER, teacher_pool, order[:count]),
      (STUDENT, student_pool, order[count:]),
    ):
      if not rows.size:  # Batch statistics of no examples would be NaN.
        continue
      if i == 0 and letter == TEACHER and teacher is not None:
        outputs[letter] = _take(teacher.features[0], rows)
        continue
      outputs[letter], stats = swapnet.run_unit(
        variables, i, letter, _take(pool, position[rows]), train=train, key=key
      )
      batch_stats.update(stats)
    position = jnp.argsort(order)
    if i < num_units - 1:
      teacher_pool, student_pool = _both_widths(swapnet, variables, i, outputs)
  logits = _take(_joined(outputs.values()), position)
  return Pass(logits, (), batch_stats)


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


def check_masks(swapnet, x, masks, teacher_counts):
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
  found = tuple(jax.device_get(masks).sum(axis=0).tolist())
  if found != tuple(teacher_counts):
    raise ValueError(
      f"the masks put {found} examples on the teacher at each unit, but the "
      f"teacher counts say {tuple(teacher_counts)}; take both from the same "
      "sampler"
    )
