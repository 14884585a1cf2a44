"""Converters fitted once more in closed form, after training.

Training leaves a converter where five losses pull it; a least-squares fit on
the features of the finished networks, over thousands of examples, is sometimes
better. Every converter is tried alone, and kept where the compositions that
cross its boundary got better on average.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.evaluation.scores import Score
from pwl_jax.method.feature import Feature, mask_of, values_of
from pwl_jax.method.network import Variables
from pwl_jax.method.swapnet import SwapNet, boundary_name
from pwl_jax.training.accuracy import Batches
from pwl_jax.training.parallel import Devices, on_all
from pwl_jax.training.step import AXIS


class Trial(NamedTuple):
  """A converter that was fitted again, and what came of it."""

  boundary: int
  kept: bool
  before: float  # Mean accuracy of the compositions that cross the boundary.
  after: float


def make_refit(
  swapnet: SwapNet,
  *,
  normalise: Callable[[jax.Array], jax.Array],
  devices: Devices,
) -> Callable[..., dict[int, Any]]:
  """Returns refit(variables, batches) -> boundary -> converter variables.

  As if all batches had been one. What is carried from batch to batch is the
  triangle of a QR decomposition of all rows [1, teacher, student] seen so far:
  it has the means and covariances of all of them.
  """
  boundaries = tuple(
    i for i in range(swapnet.num_units - 1) if swapnet.has_converter(i)
  )

  def reduce(variables, triangles, inputs, counts):
    x = normalise(inputs)
    teacher = swapnet.teacher.apply(variables["teacher"], x).features
    student = swapnet.student.apply(variables["student"], x).features

    def triangle(i):
      rows = _triangle(_rows(teacher[i], student[i], counts))
      parts = jax.lax.all_gather(rows, AXIS).reshape(-1, rows.shape[1])
      return _triangle(jnp.concatenate([triangles[i], parts]))

    return {i: triangle(i) for i in boundaries}

  run = on_all(reduce, devices, apart=(False, False, True, True))

  def refit(
    variables: Variables,
    batches: Batches,
    watch: Callable[[Iterable], Iterable] = iter,
  ) -> dict[int, Any]:
    """`watch` is given the batches and passes them on, one by one."""
    widths = [
      (teacher[-1], student[-1])
      for teacher, student in zip(
        swapnet.teacher.shapes(), swapnet.student.shapes(), strict=True
      )
    ]
    if not boundaries:
      return {}
    triangles = {i: jnp.zeros((1 + sum(widths[i]),) * 2) for i in boundaries}
    for inputs, _, counts in watch(batches):
      triangles = run(variables, triangles, inputs, counts)
    fitted = {}
    for i in boundaries:
      sample = _sample(jnp.asarray(jax.device_get(triangles[i])))
      teacher, student = jnp.split(sample, [widths[i][0]], axis=1)
      fitted[i] = swapnet.converters[i].fit(teacher, student)
    return fitted

  return refit


def keep_what_helps(
  fitted: Mapping[int, Any],
  variables: Variables,
  scores: Mapping[str, Score],
  score: Callable[[Variables], Mapping[str, Score]],
) -> tuple[Variables, list[Trial]]:
  """Tries one converter after the other, each beside those that were kept.

  Args:
    fitted: boundary -> variables of a converter.
    variables: of the swap network, as trained.
    scores: its compositions', on held-out examples.
    score: measures those of other variables.
  """
  trials = []
  for i, converter in fitted.items():
    converters = {**variables["converters"], boundary_name(i): converter}
    changed = {**variables, "converters": converters}
    found = score(changed)
    before, after = (_mean_across(i, of) for of in (scores, found))
    finite = all(math.isfinite(score.loss) for score in found.values())
    kept = finite and after > before
    trials.append(Trial(i, kept, before, after))
    if kept:
      variables, scores = changed, found
  return variables, trials


def _mean_across(boundary: int, scores: Mapping[str, Score]) -> float:
  crossing = [
    score.top1
    for word, score in scores.items()
    if word[boundary] != word[boundary + 1]
  ]
  return sum(crossing) / len(crossing)


def _rows(teacher: Feature, student: Feature, counts) -> jax.Array:
  """[1, teacher, student] at every position; padding is rows of zeros."""
  both = [values_of(teacher), values_of(student)]
  features = jnp.concatenate(both, -1).astype(jnp.float32)
  features = features.reshape(len(counts), -1, features.shape[-1])
  rows = jnp.pad(features, ((0, 0), (0, 0), (1, 0)), constant_values=1.0)
  counts, mask = counts[:, None, None], mask_of(teacher)
  if mask is not None:
    counts = counts * mask.reshape(len(rows), -1, 1)
  return (rows * counts).reshape(-1, rows.shape[-1])


def _triangle(rows: jax.Array) -> jax.Array:
  """[n, k] -> [k, k] with the same products of columns."""
  missing = max(0, rows.shape[1] - rows.shape[0])
  return jnp.linalg.qr(jnp.pad(rows, ((0, missing), (0, 0))), mode="r")


def _sample(triangle: jax.Array) -> jax.Array:
  """A few rows with the mean and the covariance of all that were seen.

  The first row of the triangle holds the means, times the root of how many
  there were; the others are a root of the covariance, times the same. Put on
  both sides of the mean they have no mean of their own.
  """
  root = triangle[0, 0]
  mean, rest = triangle[0, 1:] / root, triangle[1:, 1:]
  spread = rest * jnp.sqrt(rest.shape[0] / root**2)
  return jnp.concatenate([mean + spread, mean - spread])
