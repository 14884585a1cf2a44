"""Small swap networks with data to run, and how results are compared."""

import jax
import jax.numpy as jnp
import numpy as np


class Case:
  """A small swap network with variables and a batch, nothing left at zero."""

  def __init__(self, swapnet, batch=8):
    self.swapnet = swapnet
    abstract = jax.eval_shape(swapnet.init, jax.random.key(0))
    rng = np.random.default_rng(7)
    self.variables = jax.tree.map(lambda leaf: draw(rng, leaf), abstract)
    self.x = jnp.asarray(draw_inputs(rng, swapnet.teacher, batch))
    classes = swapnet.teacher.num_classes
    self.labels = jnp.asarray(rng.integers(classes, size=batch))
    self.logits = jax.jit(swapnet.logits, static_argnums=2)


def draw_inputs(rng, network, batch):
  """Pixels or samples, as noise; or tokens with padding behind them."""
  shape = (batch, *network.input_shape)
  if network.input_dtype == "int32":
    ids = rng.integers(1, network.units[0].vocabulary.size, shape, np.int32)
    lengths = rng.integers(1, shape[1] + 1, (batch, 1))
    return np.where(np.arange(shape[1]) < lengths, ids, 0)
  return rng.normal(size=shape).astype(np.float32)


def draw(rng, leaf):
  """Vectors (biases, scales, statistics) around 1, kernels by their fan-in.

  Drawn by NumPy: compiling a network's initialisers takes longer than a test.
  """
  noise = rng.normal(size=leaf.shape)
  if leaf.ndim == 1:
    return jnp.asarray(1 + 0.3 * np.tanh(noise), leaf.dtype)
  fan_in = np.prod(leaf.shape[:-1])
  return jnp.asarray(noise * (2 / fan_in) ** 0.5, leaf.dtype)


def assert_close(actual, golden, rtol=1e-4):
  """Within rtol of the largest golden value, the scale that matters."""
  actual, golden = np.asarray(actual), np.asarray(golden)
  assert actual.shape == golden.shape
  np.testing.assert_allclose(
    actual, golden, rtol=0, atol=rtol * np.abs(golden).max()
  )


def trees_equal(a, b) -> bool:
  """Bit for bit, structure included."""
  same = jax.tree.map(lambda x, y: np.array_equal(x, y), a, b)
  return all(jax.tree.leaves(same))
