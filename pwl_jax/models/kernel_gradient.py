"""Gradients of kernels, summed up over a few rows at a time on a CPU.

XLA's CPU backend turns what such a gradient multiplies around in memory, and
computes it again as it does: in a deep transformer a whole residual stream, in
a convolution all windows of all images. Parts of it, in a loop, stay as they
are and in the caches. Other backends keep XLA's own gradient.
"""

import math

import jax
import jax.export
import jax.numpy as jnp

CACHED = 4 * 2**20  # Bytes at a time; 2 to 8 MiB are as fast.


def dot_general(x: jax.Array, kernel: jax.Array, dimensions, **options):
  """That of a dense layer, [..., k] by [k, f], for its `dot_general`."""

  def native(x, kernel):
    return jax.lax.dot_general(x, kernel, dimensions, **options)

  def gradient(x, cotangent, at_once):
    rows = [a.reshape(-1, a.shape[-1]) for a in (x, cotangent)]
    zeros = jnp.zeros(kernel.shape, jnp.float32)
    return over_parts(
      lambda total, *part: total + product(*part), zeros, at_once, *rows
    )

  return with_kernel_gradient(
    native,
    gradient,
    rows=math.prod(x.shape[:-1]),
    bytes_of_row=sum(kernel.shape) * x.dtype.itemsize,
  )(x, kernel)


def product(x: jax.Array, cotangent: jax.Array) -> jax.Array:
  """[n, k], [n, f] -> [k, f] in float32."""
  return jnp.einsum(
    "nk,nf->kf", x, cotangent, preferred_element_type=jnp.float32
  )


def with_kernel_gradient(native, gradient, *, rows, bytes_of_row: int):
  """native(x, kernel), whose gradient by the kernel is another on a CPU.

  gradient(x, cotangent, at_once) has the numbers of the kernel, in any shape
  and dtype. Few rows are not worth more program, nor is a batch of any size,
  which only those who serve have.
  """
  at_once = max(1, CACHED // bytes_of_row)
  if jax.export.is_symbolic_dim(rows) or rows <= at_once:
    return native

  @jax.custom_vjp
  def apply(x, kernel):
    return native(x, kernel)

  def forward(x, kernel):
    return native(x, kernel), (x, kernel)

  def backward(saved, cotangent):
    x, kernel = saved
    (by_x,) = jax.vjp(lambda x: native(x, kernel), x)[1](cotangent)

    def own(x, cotangent):
      found = gradient(x, cotangent, at_once)
      return found.reshape(kernel.shape).astype(kernel.dtype)

    def default(x, cotangent):
      return jax.vjp(lambda kernel: native(x, kernel), kernel)[1](cotangent)[0]

    return by_x, jax.lax.platform_dependent(
      x, cotangent, cpu=own, default=default
    )

  apply.defvjp(forward, backward)
  return apply


def over_parts(add, total, length: int, *arrays):
  """Folds add(total, *parts) over parts of the first axis, one at least."""

  def step(i, total):
    parts = [
      jax.lax.dynamic_slice_in_dim(a, i * length, length) for a in arrays
    ]
    return add(total, *parts)

  count, left = divmod(arrays[0].shape[0], length)
  total = jax.lax.fori_loop(0, count, step, total)
  return add(total, *(a[-left:] for a in arrays)) if left else total
