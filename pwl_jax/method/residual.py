"""The residual converter: affine maps, each with a small network beside it.

  map(x) = x A + a + relu(x H + h) B

Fitted, it is the affine map alone: B is zero, H random, and both are learnt.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.affine import Affine, TwoMaps, best_maps
from pwl_jax.method.feature import Feature


class ResidualConverter(TwoMaps):
  """Two residual maps; what is hidden is as wide as the wider network."""

  def setup(self):
    hidden = max(self.teacher_width, self.student_width)
    self.encoder = ResidualMap(self.teacher_width, hidden, self.student_width)
    self.decoder = ResidualMap(self.student_width, hidden, self.teacher_width)

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> dict[str, Any]:
    best = best_maps(teacher_feature, student_feature)
    row = jnp.zeros((1, self.teacher_width))
    drawn = self.clone(parent=None).init(jax.random.key(0), row)["params"]
    return {"params": {way: drawn[way] | {"affine": best[way]} for way in best}}


class ResidualMap(nn.Module):
  """Over the last axis, computed in the dtype of x."""

  width_in: int
  width_hidden: int
  width_out: int

  def setup(self):
    self.affine = Affine(self.width_in, self.width_out)
    self.hidden = Affine(self.width_in, self.width_hidden)
    shape = (self.width_hidden, self.width_out)
    self.bend = self.param("bend", nn.initializers.zeros, shape, jnp.float32)

  def __call__(self, x: jax.Array) -> jax.Array:
    return self.affine(x) + nn.relu(self.hidden(x)) @ self.bend.astype(x.dtype)
