"""Converters fitted once more in closed form, after training.

Training leaves a converter where five losses pull it; a least-squares fit on
the features of the finished networks, over thousands of examples, is sometimes
better. Every converter is tried alone, and kept where the compositions that
cross its boundary got better on average.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.evaluation.scores import Score
from pwl_jax.method.feature import mask_of, values_of
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


class _Boundary(NamedTuple):
  """A converter, and what it is between."""

  name: str
  converter: nn.Module
  shapes: tuple[
    tuple[int, ...], ...
  ]  # Of the teacher's feature, the student's.

  def regressors(
    self, variables: Variables, teacher: jax.Array, student: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """What its encoder and its decoder are affine in."""
    if not hasattr(self.converter, "regressors"):
      return teacher, student
    own = variables["converters"][self.name]
    return self.converter.apply(own, teacher, student, method="regressors")

  def widths(self, variables: Variables) -> list[int]:
    """Of the regressors."""
    features = (
      jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self.shapes
    )
    found = jax.eval_shape(self.regressors, variables, *features)
    return [rows.shape[-1] for rows in found]

  def solve(self, variables: Variables, triangle: jax.Array) -> Any:
    """Its best variables for all rows of a triangle."""
    sample = _sample(jnp.asarray(jax.device_get(triangle)))
    teacher, student = jnp.split(sample, self.widths(variables)[:1], axis=1)
    if not hasattr(self.converter, "refit"):
      return self.converter.fit(teacher, student)
    own = variables["converters"][self.name]
    return self.converter.refit(own, teacher, student)


def make_refit(
  swapnet: SwapNet,
  *,
  normalise: Callable[[jax.Array], jax.Array],
  devices: Devices,
) -> Callable[..., dict[int, Any]]:
  """Returns refit(variables, batches) -> boundary -> converter variables.

  As if all batches had been one. What is carried from batch to batch is the
  triangle of a QR decomposition of all rows [1, teacher, student] seen so far:
  it has the means and covariances of all of them. A converter that is affine in
  more than the features says so (`regressors`), and is fitted by its `refit`.
  """
  shapes = zip(swapnet.teacher.shapes(), swapnet.student.shapes(), strict=True)
  boundaries = {
    i: _Boundary(boundary_name(i), converter, pair)
    for i, (converter, pair) in enumerate(
      zip(swapnet.converters, shapes, strict=False)
    )
    if swapnet.has_converter(i)
  }

  def reduce(variables, triangles, inputs, counts):
    x = normalise(inputs)
    teacher = swapnet.teacher.apply(variables["teacher"], x).features
    student = swapnet.student.apply(variables["student"], x).features

    def triangle(i, boundary):
      both = values_of(teacher[i]), values_of(student[i])
      both = boundary.regressors(variables, *both)
      rows = _triangle(_rows(both, mask_of(teacher[i]), counts))
      parts = jax.lax.all_gather(rows, AXIS).reshape(-1, rows.shape[1])
      return _triangle(jnp.concatenate([triangles[i], parts]))

    return {i: triangle(i, boundary) for i, boundary in boundaries.items()}

  run = on_all(reduce, devices, apart=(False, False, True, True))

  def refit(
    variables: Variables,
    batches: Batches,
    watch: Callable[[Iterable], Iterable] = iter,
  ) -> dict[int, Any]:
    """`watch` is given the batches and passes them on, one by one."""
    if not boundaries:
      return {}
    triangles = {
      i: jnp.zeros((1 + sum(boundary.widths(variables)),) * 2)
      for i, boundary in boundaries.items()
    }
    for inputs, _, counts in watch(batches):
      triangles = run(variables, triangles, inputs, counts)
    return {
      i: boundary.solve(variables, triangles[i])
      for i, boundary in boundaries.items()
    }

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
  """Out of whole numbers: as good must not look better by a rounding."""
  crossing = [
    score
    for word, score in scores.items()
    if word[boundary] != word[boundary + 1]
  ]
  right = sum(round(score.top1 * score.count) for score in crossing)
  return right / sum(score.count for score in crossing)


def _rows(
  parts: Sequence[jax.Array], mask: jax.Array | None, counts: jax.Array
) -> jax.Array:
  """[1, *parts] at every position; padding is rows of zeros."""
  features = jnp.concatenate(parts, -1).astype(jnp.float32)
  features = features.reshape(len(counts), -1, features.shape[-1])
  rows = jnp.pad(features, ((0, 0), (0, 0), (1, 0)), constant_values=1.0)
  counts = counts[:, None, None]
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
