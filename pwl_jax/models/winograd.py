"""3x3 convolutions with 2.25 times fewer products: Winograd's F(2x2, 3x3).

A convolution takes 36 products of matrices for 2x2 pixels of its output: 9 for
each. Here they take 16. With d the 4x4 pixels of the input that those 2x2 see,
and k the kernel, they are

  OUTPUT [(KERNEL k KERNEL') * (INPUT d INPUT')] OUTPUT'

where each * is a product of all channels with all features. The matrices only
add, subtract and halve: it rounds at most about twice as much as the plain one.
A few images at a time, so that what is added up stays in the caches.
"""

import functools
import math
import operator

import jax
import jax.numpy as jnp

from pwl_jax.models.parts import are_many, over_parts, product

Grid = list[list[jax.Array]]  # A matrix of arrays of one shape.

INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))
CACHED = 16 * 2**20  # Bytes at a time; 8 to 32 MiB are as fast.
PIXELS = 256  # Of all images: fewer are not worth sums of the kernel.
CHANNELS = 32  # Fewer are not worth sums of the pixels.
PRODUCTS = 2**25  # Of a place in the kernel: fewer are not worth the program.


def takes(x: jax.Array, kernel: jax.Array, strides, padding) -> bool:
  """Whether this convolution has the form, and is faster in it."""
  *size, channels, features = kernel.shape
  has_form = (
    size == [3, 3]
    and all(stride == 1 for stride in strides)
    and all(tuple(side) == (1, 1) for side in padding)
    and x.dtype == kernel.dtype == jnp.float32
  )
  pixels = math.prod(x.shape[:-1])
  return (
    has_form
    and min(channels, features) >= CHANNELS
    and are_many(pixels, PIXELS)
    and pixels * channels * features >= PRODUCTS
    and _bytes_of_image(x, features) <= CACHED
  )


def convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """[b, h, w, c], [3, 3, c, f] -> [b, h, w, f], of x padded by one pixel."""
  places = [list(row) for row in kernel]
  return _products(x, places, kernel.shape[3], "nhwc,cf->nhwf")


def by_input(cotangent: jax.Array, kernel: jax.Array) -> jax.Array:
  """The gradient by the input: a convolution of the cotangent, turned round."""
  # Places are turned here, features in the products: 10 ms instead of 40.
  turned = [list(row[::-1]) for row in kernel[::-1]]
  return _products(cotangent, turned, kernel.shape[2], "nhwf,cf->nhwc")


def by_kernel(x: jax.Array, cotangent: jax.Array) -> jax.Array:
  """The gradient of a convolution by its kernel, [3, 3, c, f]."""
  channels, features = x.shape[-1], cotangent.shape[-1]

  def add(total, x, cotangent):
    spread = _between(_turned(OUTPUT), _grid(_even(cotangent), 2))
    return [
      [
        total + product(seen.reshape(-1, channels), part.reshape(-1, features))
        for total, seen, part in zip(*rows, strict=True)
      ]
      for rows in zip(total, _seen(x), spread, strict=True)
    ]

  zeros = [[jnp.zeros((channels, features), jnp.float32)] * 4] * 4
  # Half as many images are a little faster here.
  at_once = _at_once(x, features, CACHED // 2)
  total = over_parts(add, zeros, at_once, x, cotangent)
  return jnp.stack([jnp.stack(row) for row in _between(_turned(KERNEL), total)])


def _products(
  x: jax.Array, kernel: Grid, features: int, equation: str
) -> jax.Array:
  images, height, width, _ = x.shape
  kernels = _between(KERNEL, kernel)
  count = -(-images // _at_once(x, features, CACHED))
  at_once = -(-images // count)

  def part(i, y):
    seen = _seen(jax.lax.dynamic_slice_in_dim(x, i * at_once, at_once))
    products = [
      [jnp.einsum(equation, *both) for both in zip(*rows, strict=True)]
      for rows in zip(seen, kernels, strict=True)
    ]
    pixels = _interleaved(_between(OUTPUT, products))[:, :height, :width]
    # The last part begins earlier where it would end behind the batch.
    return jax.lax.dynamic_update_slice_in_dim(y, pixels, i * at_once, 0)

  zeros = jnp.zeros((images, height, width, features), x.dtype)
  return jax.lax.fori_loop(0, count, part, zeros)


def _at_once(x: jax.Array, features: int, most: int) -> int:
  """How many images' sums take `most` bytes, one at least."""
  return max(1, most // _bytes_of_image(x, features))


def _bytes_of_image(x: jax.Array, features: int) -> int:
  """All 4x4 sums, of the channels and of the features."""
  _, height, width, channels = x.shape
  return 4 * height * width * (channels + features) * x.dtype.itemsize


def _seen(x: jax.Array) -> Grid:
  """INPUT d INPUT' for all d of the images."""
  padded = jnp.pad(_even(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
  return _between(INPUT, _grid(padded, 4))


def _even(x: jax.Array) -> jax.Array:
  """With a row and a column of zeros more where there are odd ones."""
  return jnp.pad(x, ((0, 0), *((0, side % 2) for side in x.shape[1:3]), (0, 0)))


def _grid(x: jax.Array, size: int) -> Grid:
  """The pixels of size x size that overlap by all but two, by their place."""
  height, width = (side - size + 1 for side in x.shape[1:3])
  return [
    [x[:, i : i + height : 2, j : j + width : 2] for j in range(size)]
    for i in range(size)
  ]


def _interleaved(grid: Grid) -> jax.Array:
  """Of a grid of 2x2 pixels the image: what `_grid` took apart."""
  x = jnp.stack([jnp.stack(row, 3) for row in grid], 2)
  images, height, _, width, _, channels = x.shape
  return x.reshape(images, 2 * height, 2 * width, channels)


def _between(matrix, grid: Grid) -> Grid:
  """matrix @ grid @ matrix.T"""
  return _turned(_times(matrix, _turned(_times(matrix, grid))))


def _times(matrix, grid: Grid) -> Grid:
  return [[_sum(row, column) for column in _turned(grid)] for row in matrix]


def _sum(factors, arrays) -> jax.Array:
  """Their products' sum, without those that are zero."""
  terms = [f * a for f, a in zip(factors, arrays, strict=True) if f]
  return functools.reduce(operator.add, terms)


def _turned(matrix):
  return list(zip(*matrix, strict=True))
