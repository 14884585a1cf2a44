"""A convolution in the form that its shape makes fast on a CPU.

XLA's CPU backend is slow in four places, which are matrix products here; all
else, and every other backend, keeps XLA's own convolution:

  few pixels left   a product of all windows: 736 ms against 9 for 512 channels
                    of 2x2 pixels, 128 images, on two cores
  1x1 kernels       a product of the pixels: 20 ms against 2
  3x3, many images  Winograd's form, with its gradients: 136 ms against 43, and
                    99 against 66 for the kernel's, for 64 channels of 32x32
  kernel gradients  of all others: products of windows, a few images at a time,
                    so that the windows stay in the caches: 32 ms against 12 for
                    32 to 64 channels of 32x32 pixels with a stride of two
"""

import functools
import math

import jax
import jax.numpy as jnp

from pwl_jax.models import winograd
from pwl_jax.models.own_forms import with_own_forms
from pwl_jax.models.parts import are_many, over_parts, product, rows_cached

FEW = 4  # Pixels to a side.


def convolve(
  x: jax.Array, kernel: jax.Array, strides, padding, **options
) -> jax.Array:
  """As `conv_general_dilated` of [b, h, w, c] without groups and dilations."""
  native = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    **options,
  )
  *size, _, features = kernel.shape
  window = dict(size=size, strides=strides, padding=padding)
  left = jax.eval_shape(native, x, kernel).shape[1:3]
  if size == [1, 1] or max(left) < FEW:

    def multiply(x, kernel):
      return windows(x, **window) @ kernel.reshape(-1, features)

    return jax.lax.platform_dependent(x, kernel, cpu=multiply, default=native)
  if winograd.takes(x, kernel, strides, padding):
    return with_own_forms(
      native,
      apply=winograd.convolution,
      by_input=winograd.by_input,
      by_kernel=winograd.by_kernel,
    )(x, kernel)
  image = math.prod(left) * math.prod(size) * x.shape[-1] * x.dtype.itemsize
  at_once = rows_cached(image)
  if not are_many(x.shape[0], at_once):
    return native(x, kernel)
  by_kernel = functools.partial(kernel_gradient, at_once=at_once, **window)
  return with_own_forms(native, by_kernel=by_kernel)(x, kernel)


def windows(x: jax.Array, *, size, strides, padding) -> jax.Array:
  """[b, h, w, c] -> [b, h', w', height * width * c]: what each output sees."""
  x = _windows_across(x, size, strides, padding)
  return jnp.concatenate(_shifted(x, 1, size[0], strides[0]), -1)


def kernel_gradient(
  x: jax.Array, cotangent: jax.Array, at_once: int, *, size, strides, padding
) -> jax.Array:
  """[height, width * c, features] in float32, from a few images at a time."""
  features = cotangent.shape[-1]
  seen = size[1] * x.shape[-1]

  def add(total, x, cotangent):
    x = _windows_across(x, size, strides, padding)
    # Of two axes: a product over three is slow for XLA.
    cotangent = cotangent.reshape(-1, features)
    products = [
      product(rows.reshape(-1, seen), cotangent)
      for rows in _shifted(x, 1, size[0], strides[0])
    ]
    return total + jnp.stack(products)

  zeros = jnp.zeros((size[0], seen, features), jnp.float32)
  return over_parts(add, zeros, at_once, x, cotangent)


def _windows_across(x: jax.Array, size, strides, padding) -> jax.Array:
  """[b, h, w, c] -> [b, padded h, w', width * c]."""
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  return jnp.concatenate(_shifted(x, 2, size[1], strides[1]), -1)


def _shifted(x, axis: int, size: int, stride: int) -> list[jax.Array]:
  """What each of `size` places in a window sees, along one axis."""
  reach = (x.shape[axis] - size) // stride * stride + 1
  return [
    jax.lax.slice_in_dim(x, start, start + reach, stride, axis)
    for start in range(size)
  ]
