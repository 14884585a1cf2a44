"""The functions between layers, by the names that published configs use."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.checks import check_choice


@jax.custom_jvp
def gelu(x: jax.Array) -> jax.Array:
  """x times how much of the normal distribution lies below x.

  By erf, in float32, and with its derivative: by erfc, which `nn.gelu` takes,
  it is a tenth of a ViT's step on a CPU, and this is half of that. Both are
  exact to some 1e-7 of what is the larger of |x| and 1.
  """
  return _gelu_and_slope(x)[0]


@gelu.defjvp
def _gelu_jvp(primals, tangents):
  y, slope = _gelu_and_slope(*primals)
  return y, slope * tangents[0]


def _gelu_and_slope(given):
  x = given.astype(jnp.promote_types(given.dtype, jnp.float32))
  below = 0.5 + 0.5 * jax.lax.erf(x * math.sqrt(0.5))
  density = jnp.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
  y, slope = x * below, below + x * density
  return y.astype(given.dtype), slope.astype(given.dtype)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "relu": nn.relu,
  "gelu": gelu,
  "gelu_new": functools.partial(nn.gelu, approximate=True),
  "gelu_pytorch_tanh": functools.partial(nn.gelu, approximate=True),
  "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
  "silu": nn.silu,
  "swish": nn.silu,
  "relu6": nn.relu6,
  "selu": nn.selu,
  "mish": lambda x: x * jnp.tanh(nn.softplus(x)),
  "linear": lambda x: x,
  "tanh": jnp.tanh,
  "sigmoid": nn.sigmoid,
  "leaky_relu": nn.leaky_relu,
  "elu": nn.elu,
}


def by_name(name: str) -> Callable[[jax.Array], jax.Array]:
  check_choice("activation", name, ACTIVATIONS)
  return ACTIVATIONS[name]
