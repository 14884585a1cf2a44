"""Winograd's form of a convolution is the convolution, with its gradients."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.models import layers, winograd
from tests import test_convolution
from tests.cases import assert_close

# [images, height, width, channels, features]
SHAPES = {
  "even": (5, 8, 6, 3, 4),
  "odd": (5, 7, 5, 4, 2),
  "one row": (3, 1, 6, 2, 2),
  "one image": (1, 4, 4, 2, 3),
}

plain = test_convolution.plain(stride=1, padding=1)


def plainly(x, kernel, cotangent):
  """The convolution and its gradients by the input and by the kernel."""
  y, gradients = jax.vjp(plain, x, kernel)
  return y, *gradients(cotangent)


def in_winograds_form(x, kernel, cotangent):
  return (
    winograd.convolution(x, kernel),
    winograd.by_input(cotangent, kernel),
    winograd.by_kernel(x, cotangent),
  )


def arrays(images, height, width, channels, features):
  rng = np.random.default_rng(0)
  return tuple(
    jnp.asarray(rng.normal(size=size), jnp.float32)
    for size in (
      (images, height, width, channels),
      (3, 3, channels, features),
      (images, height, width, features),
    )
  )


def errors(found, shape_arrays):
  """Of each array, relative to what float64 finds."""
  with jax.enable_x64(True):
    exact = plainly(*(jnp.asarray(a, jnp.float64) for a in shape_arrays))
    return [
      float(jnp.sqrt(jnp.mean((a - b) ** 2) / jnp.mean(b**2)))
      for a, b in zip(found, exact, strict=True)
    ]


@pytest.mark.parametrize("at_once", [1, 2, 4, 5])
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_the_convolution_with_its_gradients(name, at_once, monkeypatch):
  given = arrays(*SHAPES[name])
  image = winograd._bytes_of_image(given[0], SHAPES[name][-1])
  monkeypatch.setattr(winograd, "CACHED", at_once * image)
  assert max(errors(in_winograds_form(*given), given)) < 1e-6


@pytest.mark.parametrize("channels", [32, 256])
def test_it_is_about_as_exact_as_the_plain_form(channels):
  given = arrays(16, 8, 8, channels, channels)
  own = errors(in_winograds_form(*given), given)
  native = errors(plainly(*given), given)
  assert all(a < 3 * b for a, b in zip(own, native, strict=True))


# What is refused is so for one reason each, not for few products besides.
TAKEN = dict(x=(1024, 8, 8, 32), kernel=(3, 3, 32, 32), stride=1, padding=1)


@pytest.mark.parametrize(
  "other",
  [
    dict(stride=2),
    dict(padding=0),
    dict(kernel=(5, 5, 32, 32)),
    dict(kernel=(3, 3, 32, 16)),
    dict(x=(256, 32, 32, 3), kernel=(3, 3, 3, 64)),
    dict(x=(16, 4, 4, 512), kernel=(3, 3, 512, 512)),
    dict(x=(128, 8, 8, 32)),
    dict(x=(16, 512, 512, 32)),
    dict(dtype=jnp.bfloat16),
  ],
  ids=str,
)
def test_other_convolutions_are_left_alone(other):
  def takes(x, kernel, stride, padding, dtype=jnp.float32):
    return winograd.takes(
      jax.ShapeDtypeStruct(x, dtype),
      jax.ShapeDtypeStruct(kernel, dtype),
      (stride, stride),
      ((padding, padding), (padding, padding)),
    )

  assert takes(**TAKEN)
  assert not takes(**TAKEN | other)


def test_a_batch_of_any_size_is_left_alone():
  (images,) = jax.export.symbolic_shape("images")
  x = jax.ShapeDtypeStruct((images, 8, 8, 32), jnp.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 32, 32), jnp.float32)
  assert not winograd.takes(x, kernel, (1, 1), ((1, 1), (1, 1)))


def test_a_layer_takes_it_and_is_differentiated_twice(monkeypatch):
  monkeypatch.setattr(winograd, "PRODUCTS", 1)
  x, kernel, _ = arrays(5, 8, 8, 32, 32)
  conv = layers.conv(32, 3, dtype=jnp.float32, name="conv")

  def own(x, kernel):
    return conv.apply({"params": {"kernel": kernel}}, x)

  assert "nhwc,cf->nhwf" in jax.jit(own).lower(x, kernel).as_text(
    debug_info=True
  )

  def second(f):
    def first(kernel):
      found = jax.grad(lambda *a: jnp.sum(f(*a) ** 3), (0, 1))(x, kernel)
      return sum(jnp.sum(a**2) for a in found)

    return jax.vmap(jax.grad(first))(jnp.stack([kernel, 2 * kernel]))

  assert_close(second(own), second(plain), 1e-4)
