"""The residual converter: affine maps, each with a small network beside it.

  map(x) = x A + a + relu(x H + h) B

Fitted, it is the affine map alone: B is zero, H random, and both are learnt.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.affine import Affine, least_squares
from pwl_jax.method.feature import Feature, paired_rows


class ResidualConverter(nn.Module):
  """Two residual maps; what is hidden is as wide as the wider network."""

  teacher_width: int
  student_width: int

  def setup(self):
    hidden = max(self.teacher_width, self.student_width)
    self.encoder = ResidualMap(self.teacher_width, hidden, self.student_width)
    self.decoder = ResidualMap(self.student_width, hidden, self.teacher_width)

  def encode(self, teacher_feature: jax.Array) -> jax.Array:
    return self.encoder(teacher_feature)  # [..., student_width]

  def decode(self, student_feature: jax.Array) -> jax.Array:
    return self.decoder(student_feature)  # [..., teacher_width]

  def __call__(self, teacher_feature: jax.Array) -> jax.Array:
    """The round trip; `init` walks it, so both maps get their parameters."""
    return self.decode(self.encode(teacher_feature))

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> dict[str, Any]:
    """Each affine map on its own minimises the error of its direction."""
    teacher, student = paired_rows(teacher_feature, student_feature)
    affine = {
      "encoder": least_squares(teacher, student),
      "decoder": least_squares(student, teacher),
    }
    drawn = self.clone(parent=None).init(jax.random.key(0), teacher)["params"]
    return {
      "params": {way: drawn[way] | {"affine": affine[way]} for way in affine}
    }


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
