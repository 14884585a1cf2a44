"""The residual converter: affine maps, each with a small network beside it.

  map(x) = x A + a + relu(x H + h) B

Fitted, it is the affine map alone: B is zero, H random, and both are learnt.
Fitted once more, A, a and B are solved for, and H and h stay as they are.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.affine import Affine, TwoMaps, best_maps, least_squares
from pwl_jax.method.feature import Feature


class ResidualConverter(TwoMaps):
  """Two residual maps; what is hidden is as wide as the narrower network."""

  def setup(self):
    hidden = min(self.teacher_width, self.student_width)
    self.encoder = ResidualMap(self.teacher_width, hidden, self.student_width)
    self.decoder = ResidualMap(self.student_width, hidden, self.teacher_width)

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> dict[str, Any]:
    best = best_maps(teacher_feature, student_feature)
    row = jnp.zeros((1, self.teacher_width))
    drawn = self.clone(parent=None).init(jax.random.key(0), row)["params"]
    return {"params": {way: drawn[way] | {"affine": best[way]} for way in best}}

  def regressors(
    self, teacher_feature: jax.Array, student_feature: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """What encoder and decoder are affine in: the feature, what is hidden."""
    return (
      self.encoder.regressors(teacher_feature),
      self.decoder.regressors(student_feature),
    )

  def refit(
    self,
    variables: dict[str, Any],
    teacher_rows: jax.Array,
    student_rows: jax.Array,
  ) -> dict[str, Any]:
    """As `fit`, of rows of regressors; what is hidden stays as it is."""
    teacher = teacher_rows[:, : self.teacher_width]
    student = student_rows[:, : self.student_width]
    params = variables["params"]
    encoder = _solved(params["encoder"], teacher_rows, student)
    decoder = _solved(params["decoder"], student_rows, teacher)
    return {"params": {"encoder": encoder, "decoder": decoder}}


class ResidualMap(nn.Module):
  """Over the last axis, computed in the dtype of x."""

  width_in: int
  width_hidden: int
  width_out: int

  def setup(self):
    self.affine = Affine(self.width_in, self.width_out)
    self.hidden = Affine(self.width_in, self.width_hidden)
    self.bend = Affine(
      self.width_hidden,
      self.width_out,
      use_bias=False,
      kernel_init=nn.initializers.zeros,
    )

  def __call__(self, x: jax.Array) -> jax.Array:
    return self.affine(x) + self.bend(self._inside(x))

  def regressors(self, x: jax.Array) -> jax.Array:
    return jnp.concatenate([x, self._inside(x)], axis=-1)

  def _inside(self, x: jax.Array) -> jax.Array:
    return nn.relu(self.hidden(x))


def _solved(
  params: dict[str, Any], rows: jax.Array, target: jax.Array
) -> dict[str, Any]:
  """Parameters of the map of rows [x, inside] that comes next to the target."""
  best = least_squares(rows, target)
  width = params["affine"]["kernel"].shape[0]
  kernel, bend = jnp.split(best["kernel"], [width])
  return {
    "affine": {"kernel": kernel, "bias": best["bias"]},
    "hidden": params["hidden"],
    "bend": {"kernel": bend},
  }
