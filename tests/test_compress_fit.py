"""Scales that keep outputs: never worse than plain ones, and often better."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pwl_jax.bundle.names import flat, nested
from pwl_jax.compress import rounding
from pwl_jax.compress.fit import cost, fit, fit_scales, grams
from pwl_jax.compress.leaves import encode, is_scaled, rounded
from pwl_jax.method.feature import Masked
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from tests.cases import assert_close

WHOLE = ("int8", "int4")


class Lone(nn.Module):
  """One layer, so that what it gives is what its kernel gives."""

  kind: str

  @nn.compact
  def __call__(self, x, *, train):
    if self.kind == "dense":
      return nn.Dense(6, name="layer")(x)
    options = dict(dtype=jnp.float32, name="layer")
    if self.kind == "strided":
      return layers.conv(6, 3, 2, **options)(x)
    if self.kind == "few pixels":
      return layers.conv(6, 3, 4, use_bias=True, **options)(x)
    if self.kind == "patches":
      return nn.Conv(6, (2, 4), (2, 4), padding="VALID", **options)(x)
    if self.kind == "dilated":
      return nn.Conv(6, (3, 3), padding="SAME", kernel_dilation=2, **options)(x)
    return nn.Conv(6, (3, 3), feature_group_count=3, **options)(x)


def lone(kind, seed=0):
  rng = np.random.default_rng(seed)
  x = jnp.asarray(rng.normal(size=(5, 8, 8, 3)), jnp.float32)
  return Lone(kind), Lone(kind).init(jax.random.key(0), x, train=False), x


def drawn(rows, channels, seed):
  """A kernel with a few large weights, and inputs that hang together."""
  rng = np.random.default_rng(seed)
  kernel = rng.standard_t(3, size=(rows, channels)).astype(np.float32)
  mixed = rng.normal(size=(3 * rows, rows)) @ rng.normal(size=(rows, rows))
  return kernel, mixed.T @ mixed


@pytest.mark.parametrize(
  "kind", ["dense", "strided", "few pixels", "patches", "dilated"]
)
def test_the_cost_is_how_far_a_layer_moves(kind):
  unit, variables, x = lone(kind)
  exact, measured = jax.jit(lambda *args: grams(unit, *args))(variables, x)
  kernel = np.asarray(variables["params"]["layer"]["kernel"])
  assert list(measured) == ["params/layer/kernel"]
  gram = np.asarray(measured["params/layer/kernel"], np.float64)
  whole = rounding.to_int8(kernel)
  rough = {**variables["params"]["layer"], "kernel": rounding.from_int8(whole)}
  moved = unit.apply({"params": {"layer": rough}}, x, train=False) - exact
  squares = np.square(np.asarray(moved, np.float64)).sum(axis=(0, 1, 2))
  assert_close(cost(kernel, whole.scale, gram, "int8"), squares, rtol=1e-3)


@pytest.mark.parametrize("precision", WHOLE)
@pytest.mark.parametrize("rows,channels", [(2, 3), (32, 4), (45, 8), (130, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_no_channel_is_worse_off(precision, rows, channels, seed):
  kernel, gram = drawn(rows, channels, seed)
  to = {"int8": rounding.to_int8, "int4": rounding.to_int4}[precision]
  plain = cost(kernel, to(kernel).scale, gram, precision)
  scales = fit(kernel, gram, precision)
  assert scales.dtype == rounding.bfloat16()
  np.testing.assert_array_equal(to(kernel, scales=scales).scale, scales)
  fitted = cost(kernel, scales, gram, precision)
  assert (fitted <= plain).all()
  if rows > 2:
    share = {"int8": 0.98, "int4": 0.9}[precision]
    assert fitted.sum() < share * plain.sum()


@pytest.mark.parametrize("precision", WHOLE)
def test_inputs_that_are_always_zero_leave_plain_scales(precision):
  kernel, _ = drawn(40, 3, 0)
  to = {"int8": rounding.to_int8, "int4": rounding.to_int4}[precision]
  scales = fit(kernel, np.zeros((40, 40)), precision)
  np.testing.assert_array_equal(scales, to(kernel).scale)


def test_padding_counts_nothing(tiny):
  case = tiny("tiny_text")
  network, variables = case.swapnet.teacher, case.variables["teacher"]
  feature = network.apply(variables, case.x).features[0]
  measure = jax.jit(lambda *args: grams(network.units[1], *args)[1])
  assert not feature.mask.all()
  other = jnp.where(feature.mask[..., None], feature.values, 9.0)
  golden = measure(variables["unit1"], feature)
  found = measure(variables["unit1"], Masked(other, feature.mask))
  assert golden.keys() == found.keys()
  for name, gram in golden.items():
    assert_close(found[name], gram, rtol=1e-5)


@pytest.mark.parametrize("precision", WHOLE)
@pytest.mark.parametrize(
  "name", ["lenet5", "tiny_vgg", "tiny_vit", "tiny_text", "tiny_audio"]
)
def test_every_kernel_of_every_family_gets_scales(tiny, name, precision):
  case = tiny(name)
  network, variables = case.swapnet.student, case.variables["student"]
  found = fit_scales(
    network, variables, np.asarray(case.x), precision, batch_size=5
  )
  assert found.keys() == variables.keys()
  for unit, scales in found.items():
    leaves = {k: np.asarray(leaf) for k, leaf in flat(variables[unit]).items()}
    assert scales.keys() == {
      path
      for path, leaf in leaves.items()
      if path.endswith("/kernel") and is_scaled(path, leaf, precision)
    }
    stored = encode(leaves, precision, scales=scales)
    for path, scale in scales.items():
      np.testing.assert_array_equal(stored[f"{path}/scale"], scale)


@pytest.mark.parametrize("precision", WHOLE)
def test_a_network_with_outliers_answers_better(precision):
  class Wide(nn.Module):
    """Inputs that are never below zero, as behind a relu."""

    @nn.compact
    def __call__(self, x, *, train):
      x = nn.relu(nn.Dense(96, name="first")(nn.relu(x)))
      return nn.Dense(8, name="head")(x)

  network = Network((Wide(),), (64,))
  rng = np.random.default_rng(0)

  def spoilt(leaf):  # One large weight in every channel.
    leaf = np.array(leaf)
    if leaf.ndim > 1:
      leaf[
        rng.integers(len(leaf), size=leaf.shape[1]), range(leaf.shape[1])
      ] *= 5
    return leaf

  variables = jax.tree.map(spoilt, network.init(jax.random.key(0)))
  inputs, others = rng.normal(size=(2, 256, 64)).astype(np.float32)
  scales = fit_scales(network, variables, inputs, precision)
  golden = network.logits(variables, others)

  def error(scales):
    leaves = rounded(flat(variables["unit0"]), precision, scales=scales)
    logits = network.logits({"unit0": nested(leaves)}, others)
    return float(jnp.square(logits - golden).mean())

  assert error(scales["unit0"]) < 0.7 * error(None)


def test_kernels_that_inputs_share_out_keep_plain_scales():
  unit, variables, x = lone("grouped")
  network = Network((unit,), x.shape[1:])
  assert fit_scales(network, {"unit0": variables}, np.asarray(x), "int8") == {
    "unit0": {}
  }


def test_what_cannot_be_fitted_is_refused(tiny):
  case = tiny("tiny_resnet")
  network, variables = case.swapnet.student, case.variables["student"]
  with pytest.raises(ValueError, match="unknown precision 'bfloat16'"):
    fit_scales(network, variables, np.asarray(case.x), "bfloat16")
  with pytest.raises(ValueError, match="there are none"):
    fit_scales(network, variables, np.asarray(case.x[:0]), "int8")
