"""The forward passes behind the cross loss: half-replaced networks.

random  every example its own composition (the mixed batch), or the one
        composition that is named
all     for each boundary, the teacher up to it and the student behind
"""

from collections.abc import Mapping

import jax

from pwl_jax.method.composition import STUDENT, TEACHER
from pwl_jax.method.mixed import mixed_pass
from pwl_jax.method.network import Pass, Variables
from pwl_jax.method.sampling import Sampler, get_sampler
from pwl_jax.method.swapnet import SwapNet


def random_pass(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  *,
  key: jax.Array | None,
  train: bool,
  passes: Mapping[str, Pass],
  sampler: str | Sampler,
  composition: str | None = None,
) -> Pass:
  """One pass over the batch; `key` draws the compositions, if not given.

  The networks' own `passes` spare a part of it.
  """
  mask_key, key = (None, None) if key is None else jax.random.split(key)
  if composition is not None:
    return swapnet.compose(variables, x, composition, train=train, key=key)
  if mask_key is None:
    raise ValueError(
      "random compositions are drawn from a key, got None; pass "
      "key=jax.random.key(seed), or name one composition, or use "
      'cross_mode="all"'
    )
  sampler = get_sampler(sampler)
  shape = len(x), swapnet.num_units
  return mixed_pass(
    swapnet,
    variables,
    x,
    sampler.masks(mask_key, *shape),
    sampler.teacher_counts(*shape),
    train=train,
    key=key,
    passes=passes,
    leading_counts=sampler.leading_counts(*shape),
  )


def student_tails(
  swapnet: SwapNet,
  variables: Variables,
  teacher: Pass,
  *,
  key: jax.Array | None,
  train: bool,
) -> list[Pass]:
  """The student behind each boundary, fed the teacher's converted feature.

  The teacher's own pass has those features already.
  """
  num_units = swapnet.num_units
  return [
    swapnet.run_units(
      variables,
      feature,
      TEACHER * (i + 1) + STUDENT * (num_units - i - 1),
      start=i + 1,
      train=train,
      key=None if key is None else jax.random.fold_in(key, i),
    )
    for i, feature in enumerate(teacher.features)
  ]
