"""Sums over a batch a few rows at a time, on a CPU.

XLA's CPU backend turns what a gradient of a kernel multiplies around in memory,
and computes it again as it does: in a deep transformer a whole residual stream,
in a convolution all windows of all images. Parts of it, in a loop, stay as they
are and in the caches.
"""

import jax
import jax.export
import jax.numpy as jnp

CACHED = 2 * 2**20  # Bytes at a time; 1 and 4 MiB are nearly as fast.


def rows_cached(bytes_of_row: int) -> int:
  return max(1, CACHED // bytes_of_row)


def are_many(rows, than: int) -> bool:
  """Few rows are not worth more program, nor are any number of them.

  A batch of any size only those have who serve.
  """
  return not jax.export.is_symbolic_dim(rows) and rows > than


def product(x: jax.Array, cotangent: jax.Array) -> jax.Array:
  """[n, k], [n, f] -> [k, f] in float32."""
  return jnp.einsum(
    "nk,nf->kf", x, cotangent, preferred_element_type=jnp.float32
  )


def over_parts(add, total, length: int, *arrays):
  """Folds add(total, *parts) over parts of the first axis, one at least."""

  def step(i, total):
    parts = [
      jax.lax.dynamic_slice_in_dim(a, i * length, length) for a in arrays
    ]
    return add(total, *parts)

  rows = arrays[0].shape[0]
  length = _equal(rows, min(length, rows))
  count, left = divmod(rows, length)
  total = jax.lax.fori_loop(0, count, step, total)
  return add(total, *(a[-left:] for a in arrays)) if left else total


def _equal(rows: int, most: int) -> int:
  """The length of equal parts, or `most` where no more than half of it is one.

  A shorter part at the end would be a second program.
  """
  lengths = range(most, most // 2, -1)
  return next((length for length in lengths if rows % length == 0), most)
