"""Converters: the bridges between the two widths at a boundary.

An encoder takes the teacher's width to the student's, a decoder takes it
back. Both are maps of the last axis, the same at every position, and affine
but for the residual ones.

  linear         two free maps, the paper's converter
  identity       nothing at all; only where the widths are equal
  orthogonal     encode(decode(s)) = s: the encoder has orthonormal rows and
                 the decoder is its transpose
  residual       linear, with a small network beside each map
  auto           identity where the widths are equal, else linear
  auto_residual  identity where the widths are equal, else residual

Each can also be fitted in closed form to a batch of features of the two
networks, so that compositions work before any training.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.affine import Affine, TwoMaps, best_maps
from pwl_jax.method.checks import check_choice
from pwl_jax.method.feature import Feature, paired_rows
from pwl_jax.method.residual import ResidualConverter

AUTO = {"auto": "linear", "auto_residual": "residual"}
KINDS = ("linear", "identity", "orthogonal", "residual", *AUTO)
Variables = dict[str, Any]


def make_converter(
  kind: str, teacher_width: int, student_width: int, *, boundary: int = 0
) -> nn.Module:
  """The converter of one boundary; `boundary` only serves the messages."""
  widths = f"teacher {teacher_width}, student {student_width}"
  equal = student_width == teacher_width
  check_choice("converter", kind, KINDS)
  if kind in AUTO:
    kind = "identity" if equal else AUTO[kind]
  if kind == "identity" and not equal:
    raise ValueError(
      f"converter 'identity' needs equal widths, but at boundary {boundary} "
      f"they differ ({widths}); use 'linear', 'orthogonal' or 'auto' there"
    )
  if kind == "orthogonal" and student_width > teacher_width:
    raise ValueError(
      "converter 'orthogonal' needs a student no wider than the teacher, but "
      f"boundary {boundary} has {widths}; use 'linear' there"
    )
  if kind == "identity":
    return IdentityConverter()
  if kind == "orthogonal":
    return OrthogonalConverter(teacher_width, student_width)
  if kind == "residual":
    return ResidualConverter(teacher_width, student_width)
  return LinearConverter(teacher_width, student_width)


class IdentityConverter(nn.Module):
  """Equal widths: features pass as they are."""

  def encode(self, teacher_feature: jax.Array) -> jax.Array:
    return teacher_feature

  def decode(self, student_feature: jax.Array) -> jax.Array:
    return student_feature

  def __call__(self, teacher_feature: jax.Array) -> jax.Array:
    return teacher_feature

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> Variables:
    del teacher_feature, student_feature
    return {}


class LinearConverter(TwoMaps):
  """Two free affine maps."""

  def setup(self):
    self.encoder = Affine(self.teacher_width, self.student_width)
    self.decoder = Affine(self.student_width, self.teacher_width)

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> Variables:
    return {"params": best_maps(teacher_feature, student_feature)}


class OrthogonalConverter(nn.Module):
  """A rotation into the teacher's space and back, about two centres.

  encode(t) = (t - teacher_center) @ q + student_center
  decode(s) = (s - student_center) @ q.T + teacher_center

  with q = orthonormal(weight), so q.T @ q = 1 whatever training does to the
  weight: the constraint is part of the map, not of the optimiser.
  """

  teacher_width: int
  student_width: int

  def setup(self):
    shape = (self.teacher_width, self.student_width)
    zeros, dtype = nn.initializers.zeros, jnp.float32
    # q has the weight's column space only: scaling it changes nothing.
    self.weight = self.param(
      "weight", nn.initializers.orthogonal(), shape, dtype
    )
    self.teacher_center = self.param("teacher_center", zeros, shape[:1], dtype)
    self.student_center = self.param("student_center", zeros, shape[1:], dtype)

  def encode(self, teacher_feature: jax.Array) -> jax.Array:
    return _turn(
      teacher_feature,
      self.teacher_center,
      orthonormal(self.weight),
      self.student_center,
    )

  def decode(self, student_feature: jax.Array) -> jax.Array:
    return _turn(
      student_feature,
      self.student_center,
      orthonormal(self.weight).T,
      self.teacher_center,
    )

  def __call__(self, teacher_feature: jax.Array) -> jax.Array:
    return self.decode(self.encode(teacher_feature))

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> Variables:
    """The best decoder of this form (orthogonal Procrustes)."""
    teacher, student = paired_rows(teacher_feature, student_feature)
    student_center = student.mean(axis=0)
    teacher_center = teacher.mean(axis=0)
    cross = jnp.matmul(
      (teacher - teacher_center).T,
      student - student_center,
      precision="highest",
    )
    u, _, vh = jnp.linalg.svd(cross, full_matrices=False)
    return {
      "params": {
        "weight": jnp.matmul(u, vh, precision="highest"),
        "student_center": student_center,
        "teacher_center": teacher_center,
      }
    }


def orthonormal(weight: jax.Array) -> jax.Array:
  """[m, n] with m >= n -> [m, n] with orthonormal columns, by QR.

  Columns keep the sign of the weight's, so a weight that is orthonormal
  already stays as it is.
  """
  q, r = jnp.linalg.qr(weight.astype(jnp.float32))
  return q * jnp.where(jnp.diagonal(r) < 0, -1.0, 1.0)


def _turn(x, center, rotation, new_center) -> jax.Array:
  center, rotation, new_center = (
    a.astype(x.dtype) for a in (center, rotation, new_center)
  )
  # Accelerators round the factors by default, and the way back would not fit.
  turned = jnp.matmul(x - center, rotation, precision="highest")
  return turned + new_center
