"""Affine maps of channels: as a module, and as the best one for given rows.

`TwoMaps` is what converters have in common whose ways there and back are
modules of their own.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.feature import Feature, paired_rows


class Affine(nn.Module):
  """x @ kernel + bias over the last axis, computed in the dtype of x."""

  width_in: int
  width_out: int
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

  def setup(self):
    shape = (self.width_in, self.width_out)
    zeros = nn.initializers.zeros
    self.kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    if self.use_bias:
      self.bias = self.param("bias", zeros, shape[1:], jnp.float32)

  def __call__(self, x: jax.Array) -> jax.Array:
    product = x @ self.kernel.astype(x.dtype)
    return product + self.bias.astype(x.dtype) if self.use_bias else product


class TwoMaps(nn.Module):
  """A converter of an `encoder` and a `decoder`, which `setup` makes."""

  teacher_width: int
  student_width: int

  def encode(self, teacher_feature: jax.Array) -> jax.Array:
    return self.encoder(teacher_feature)  # [..., student_width]

  def decode(self, student_feature: jax.Array) -> jax.Array:
    return self.decoder(student_feature)  # [..., teacher_width]

  def __call__(self, teacher_feature: jax.Array) -> jax.Array:
    """The round trip; `init` walks it, so both maps get their parameters."""
    return self.decode(self.encode(teacher_feature))


def best_maps(
  teacher_feature: Feature, student_feature: Feature
) -> dict[str, dict[str, jax.Array]]:
  """Each map on its own minimises the squared error of its direction."""
  teacher, student = paired_rows(teacher_feature, student_feature)
  return {
    "encoder": least_squares(teacher, student),
    "decoder": least_squares(student, teacher),
  }


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
