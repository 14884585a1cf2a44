"""The layers that every network family shares, in one place.

Convolutions and pools pad both sides alike: flax's "SAME" puts the odd pixel
of a strided window elsewhere than the checkpoints of other ecosystems expect.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.models.convolution import convolve

Dtype = jnp.dtype | type
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}  # To compute in.


def conv(
  features: int,
  kernel: int,
  stride: int = 1,
  *,
  dtype: Dtype,
  name: str,
  use_bias: bool = False,
  padding: int | None = None,
) -> nn.Conv:
  """A square convolution; unless told otherwise it pads to keep the size."""
  pad = kernel // 2 if padding is None else padding
  return nn.Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    padding=((pad, pad), (pad, pad)),
    use_bias=use_bias,
    dtype=dtype,
    kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
    conv_general_dilated=convolve,
    name=name,
  )


def batch_norm(
  train: bool, *, dtype: Dtype, name: str, sync_axis: str | None = None
) -> nn.BatchNorm:
  """Over the batch in training, over the running averages otherwise.

  With `sync_axis` the batch is that of all devices along a mapped axis.
  """
  return nn.BatchNorm(
    use_running_average=not train,
    momentum=0.9,
    epsilon=1e-5,
    # E[x^2] - E[x]^2 loses digits where the mean is large.
    use_fast_variance=False,
    dtype=dtype,
    axis_name=sync_axis,
    name=name,
  )


def check_side(x: jax.Array, side: int):
  """Raises where a window leaves nothing of an image."""
  if min(x.shape[1:3]) < side:
    raise ValueError(
      f"the image is too small: {x.shape[1]}x{x.shape[2]} pixels are left of "
      f"it where a window needs {side}; use larger images, or a network that "
      "shrinks them less"
    )


def max_pool(
  x: jax.Array, window: int, stride: int, padding: int = 0
) -> jax.Array:
  check_side(x, window - 2 * padding)
  if window == stride and not padding:
    return _max_pool_apart(x, window)
  pads = ((padding, padding), (padding, padding))
  return nn.max_pool(x, (window, window), (stride, stride), pads)


def _max_pool_apart(x: jax.Array, window: int) -> jax.Array:
  """Of windows that lie side by side; its gradient takes XLA a seventh."""
  for axis in (1, 2):
    count = x.shape[axis] // window
    x = jax.lax.slice_in_dim(x, 0, count * window, axis=axis)
    x = x.reshape(*x.shape[:axis], count, window, *x.shape[axis + 1 :])
    places = jnp.unstack(x, axis=axis + 1)
    x = functools.reduce(jnp.maximum, places)
  return x


def global_mean(x: jax.Array) -> jax.Array:
  """[b, h, w, c] -> [b, c], summed up in float32."""
  return jnp.mean(x, axis=(1, 2), dtype=jnp.float32)


def head(num_classes: int, *, name: str = "head") -> nn.Dense:
  """The last layer; logits are float32 whatever the rest computes in."""
  return nn.Dense(num_classes, dtype=jnp.float32, name=name)


def adaptive_mean(x: jax.Array, size: int) -> jax.Array:
  """[b, h, w, c] -> [b, size, size, c]: means over near-equal windows.

  Windows overlap or repeat where `size` does not divide the side.
  """
  for axis in (1, 2):
    x = jnp.moveaxis(
      jnp.tensordot(x, _windows(x.shape[axis], size), (axis, 0)), -1, axis
    )
  return x


def _windows(side: int, size: int) -> jax.Array:
  """[side, size] with the weight of each pixel in each mean."""
  i, pixel = jnp.arange(size), jnp.arange(side)[:, None]
  start, stop = i * side // size, -(-(i + 1) * side // size)
  inside = (pixel >= start) & (pixel < stop)
  return inside / (stop - start)


def check_lengths(**lists):
  """Raises where a network's per-unit numbers differ in number."""
  if len({len(values) for values in lists.values()}) > 1:
    found = ", ".join(f"{name} {tuple(v)}" for name, v in lists.items())
    raise ValueError(f"need one number per unit in each of: {found}")
