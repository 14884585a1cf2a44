"""Products of dense layers, whose gradients by kernels go in parts on a CPU."""

import math

import jax
import jax.numpy as jnp

from pwl_jax.models.own_forms import with_own_forms
from pwl_jax.models.parts import are_many, over_parts, product, rows_cached


def dot_general(x: jax.Array, kernel: jax.Array, dimensions, **options):
  """That of a dense layer, [..., k] by [k, f], for its `dot_general`."""

  def native(x, kernel):
    return jax.lax.dot_general(x, kernel, dimensions, **options)

  at_once = rows_cached(sum(kernel.shape) * x.dtype.itemsize)
  if not are_many(math.prod(x.shape[:-1]), at_once):
    return native(x, kernel)

  def by_kernel(x, cotangent):
    rows = [a.reshape(-1, a.shape[-1]) for a in (x, cotangent)]
    zeros = jnp.zeros(kernel.shape, jnp.float32)
    return over_parts(
      lambda total, *part: total + product(*part), zeros, at_once, *rows
    )

  return with_own_forms(native, by_kernel=by_kernel)(x, kernel)
