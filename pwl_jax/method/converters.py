"""Converters: the bridges between the two widths at a boundary.

An encoder takes the teacher's width to the student's, a decoder takes it
back. Both are affine maps of the last axis, the same at every position.

  linear      two free maps, the paper's converter
  identity    nothing at all; only where the widths are equal
  auto        identity where the widths are equal, else linear
  orthogonal  encode(decode(s)) = s: the encoder has orthonormal rows and the
              decoder is its transpose

Each can also be fitted in closed form to a batch of features of the two
networks, so that compositions work before any training.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.checks import check_choice
from pwl_jax.method.feature import Feature, paired_rows

KINDS = ("auto", "linear", "identity", "orthogonal")
Variables = dict[str, Any]


def make_converter(
  kind: str, teacher_width: int, student_width: int, *, boundary: int = 0
) -> nn.Module:
  """The converter of one boundary; `boundary` only serves the messages."""
  widths = f"teacher {teacher_width}, student {student_width}"
  equal = student_width == teacher_width
  check_choice("converter", kind, KINDS)
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
  if kind == "identity" or (kind == "auto" and equal):
    return IdentityConverter()
  if kind == "orthogonal":
    return OrthogonalConverter(teacher_width, student_width)
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


class Affine(nn.Module):
  """x @ kernel + bias over the last axis, computed in the dtype of x."""

  width_in: int
  width_out: int

  def setup(self):
    init = nn.initializers.lecun_normal()
    shape = (self.width_in, self.width_out)
    zeros = nn.initializers.zeros
    self.kernel = self.param("kernel", init, shape, jnp.float32)
    self.bias = self.param("bias", zeros, shape[1:], jnp.float32)

  def __call__(self, x: jax.Array) -> jax.Array:
    return x @ self.kernel.astype(x.dtype) + self.bias.astype(x.dtype)


class LinearConverter(nn.Module):
  """Two free affine maps."""

  teacher_width: int
  student_width: int

  def setup(self):
    self.encoder = Affine(self.teacher_width, self.student_width)
    self.decoder = Affine(self.student_width, self.teacher_width)

  def encode(self, teacher_feature: jax.Array) -> jax.Array:
    return self.encoder(teacher_feature)  # [..., student_width]

  def decode(self, student_feature: jax.Array) -> jax.Array:
    return self.decoder(student_feature)  # [..., teacher_width]

  def __call__(self, teacher_feature: jax.Array) -> jax.Array:
    """The round trip; `init` walks it, so both maps get their parameters."""
    return self.decode(self.encode(teacher_feature))

  def fit(
    self, teacher_feature: Feature, student_feature: Feature
  ) -> Variables:
    """Each map on its own minimises the squared error of its direction."""
    teacher, student = paired_rows(teacher_feature, student_feature)
    return {
      "params": {
        "encoder": least_squares(teacher, student),
        "decoder": least_squares(student, teacher),
      }
    }


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


def least_squares(x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
  """The kernel and bias that minimise |x @ kernel + bias - y|^2, rows as data.

  Works on a QR factor of the centred rows rather than on their covariance,
  which would square the condition number. Channels are brought to one size
  first, so that rounding is as large in all of them; directions that are not
  above it (dead or constant channels) get zero weight.
  """
  x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
  size = jnp.sqrt(jnp.mean(x**2, axis=0))
  unit = jnp.where(size > 0, 1 / size, 0)
  q, r = jnp.linalg.qr((x - x_mean) * unit)
  target = jnp.matmul(q.T, y - y_mean, precision="highest")
  kernel, *_ = jnp.linalg.lstsq(r, target, rcond=1e-5)
  kernel = kernel * unit[:, None]
  bias = y_mean - jnp.matmul(x_mean, kernel, precision="highest")
  return {"kernel": kernel, "bias": bias}


def _turn(x, center, rotation, new_center) -> jax.Array:
  center, rotation, new_center = (
    a.astype(x.dtype) for a in (center, rotation, new_center)
  )
  # Accelerators round the factors by default, and the way back would not fit.
  turned = jnp.matmul(x - center, rotation, precision="highest")
  return turned + new_center
