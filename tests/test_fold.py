"""Batch norms as two numbers per channel: the same answers, fewer bytes."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.names import flat, nested
from pwl_jax.bundle.reading import Damaged, open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.compress.fold import folded, statistics_folded, unfolded
from pwl_jax.exporting.precision import of_texts
from pwl_jax.method.network import Network
from pwl_jax.method.norms import epsilons
from tests.bundle_cases import rewritten, trained
from tests.cases import assert_close, draw

NETWORKS = ["tiny_vgg", "tiny_resnet", "tiny_audio"]


def units_of(case, role):
  """With their batch norms and their leaves."""
  network = getattr(case.swapnet, role)
  for (name, norms), unit in zip(
    epsilons(network).items(), network.units, strict=True
  ):
    leaves = flat(case.variables[role][name])
    yield unit, norms, {n: np.asarray(leaf) for n, leaf in leaves.items()}


def feature(network, i, seed=0):
  shape = (4, *network.abstract_features()[i].shape[1:])
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(unit, leaves, x):
  return unit.apply(nested(leaves), x, train=False)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_folded_unit_does_the_same(tiny, name, role):
  case = tiny(name)
  network = getattr(case.swapnet, role)
  for i, (unit, norms, leaves) in enumerate(units_of(case, role)):
    found = folded(leaves, norms)
    x = feature(network, i)
    assert_close(run(unit, found, x), run(unit, leaves, x), 1e-5)
    for leaf in found:
      if leaf.startswith("batch_stats"):
        assert len(np.unique(found[leaf])) == 1
    again = unfolded(found, leaves, norms)
    for leaf, array in again.items():
      assert array.dtype == np.float32
      np.testing.assert_allclose(array, leaves[leaf], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_of_others_do_the_same(tiny, name):
  case, rng = tiny(name), np.random.default_rng(1)
  network = case.swapnet.student
  for i, (unit, norms, leaves) in enumerate(units_of(case, "student")):
    measured = {
      leaf: np.abs(np.asarray(draw(rng, array))) * 3
      for leaf, array in leaves.items()
      if leaf.startswith("batch_stats")
    }
    found = folded(leaves, norms) | statistics_folded(measured, leaves, norms)
    x = feature(network, i, seed=2)
    assert_close(run(unit, found, x), run(unit, leaves | measured, x), 1e-5)


def test_a_variance_of_nothing_stays_finite():
  """A channel that is always zero, and one that was and is no longer."""
  unit = nn.BatchNorm(use_running_average=True, name="norm")
  leaves = {
    "params/scale": np.array([1, 2], np.float32),
    "params/bias": np.array([0.5, -1], np.float32),
    "batch_stats/mean": np.array([0, 3], np.float32),
    "batch_stats/var": np.array([0, 4], np.float32),
  }
  measured = {
    "batch_stats/mean": np.array([2, 3], np.float32),
    "batch_stats/var": np.array([9, 0], np.float32),
  }
  norms = {"": unit.epsilon}
  x = np.array([[0.0, 3.0], [2.5, 3.01]], np.float32)

  def answers(leaves):
    return unit.apply(nested(leaves), x)

  found = folded(leaves, norms)
  assert_close(answers(found), answers(leaves), 1e-6)
  moved = found | statistics_folded(measured, leaves, norms)
  assert_close(answers(moved), answers(leaves | measured), 1e-3)


class Unit(nn.Module):
  """Norms of every kind, one of them in a module below."""

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.BatchNorm(not train, epsilon=1e-3, name="first")(x)
    x = nn.BatchNorm(not train, use_bias=False, name="half")(x)
    x = nn.LayerNorm(name="layer")(x)
    return Inner()(x, train=train)


class Inner(nn.Module):
  @nn.compact
  def __call__(self, x, *, train):
    return nn.BatchNorm(not train)(nn.Dense(4)(x))


def test_every_norm_has_the_epsilon_of_its_module():
  network = Network((Unit(), Unit()), (6,))
  norms = {"first": 1e-3, "Inner_0/BatchNorm_0": 1e-5}
  assert epsilons(network) == {"unit0": norms, "unit1": norms}
  variables = flat(network.abstract_variables()["unit0"])
  for path in norms:
    assert f"params/{path}/scale" in variables


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_statistics_that_are_all_alike_are_not_stored(tmp_path, store):
  case = trained("tiny_resnet")
  precisions = of_texts("int8", "int4,float32,int8+float32", 3)
  case.write(
    tmp_path / "b", precisions=precisions, platforms=("cpu",), store=store
  )
  assert verify(tmp_path / "b") == []
  bundle = open_bundle(tmp_path / "b")
  kept = {"teacher/unit1", "teacher/unit2", "coarse/unit2"}
  for piece, found in bundle.manifest.pieces.items():
    stats = {
      name: leaf
      for name, leaf in found.leaves.items()
      if name.startswith("batch_stats")
    }
    is_unit = set(found.programs) == {"run"}
    constants = [leaf.constant for leaf in stats.values()]
    assert (
      all(c is not None for c in constants) == (is_unit and piece not in kept)
      or not stats
    )
    read = []
    arrays = bundle.leaves(piece, read.append)
    if not found.made_of:
      assert sum(read) == found.stored_bytes
    for name, leaf in stats.items():
      if leaf.constant is not None:
        assert leaf.stored_bytes == 0 and leaf.nbytes > 0
        np.testing.assert_array_equal(arrays[name], np.float32(leaf.constant))


def test_a_constant_that_was_changed_is_found(tmp_path):
  case = trained("tiny_resnet")
  precisions = of_texts("int8", "float32", 3)
  case.write(tmp_path / "b", precisions=precisions, platforms=("cpu",))

  def change(value):
    def apply(fields):
      leaves = fields["pieces"]["student/unit0"]["leaves"]
      name = next(n for n, leaf in leaves.items() if len(leaf) == 5)
      leaves[name][4] = value

    return apply

  rewritten(tmp_path / "b", change(0.5))
  with pytest.raises(Damaged, match=r"batch_stats/.* of student/unit0"):
    open_bundle(tmp_path / "b").leaves("student/unit0")
  assert any("batch_stats" in wrong for wrong in verify(tmp_path / "b"))
  rewritten(tmp_path / "b", change("much"))
  with pytest.raises(Damaged, match="not a finite number"):
    manifests.read(tmp_path / "b")


@pytest.mark.parametrize("name", ["digits_resnet", "small_resnet", "small_vgg"])
def test_a_first_answer_in_int8_takes_a_quarter_of_the_bytes(name):
  assert share(trained(name), "int8") <= 0.27


def test_a_transformer_too():
  assert share(trained("small_vit", input_shape=(8, 8, 3)), "int8") <= 0.27


def share(case, precision):
  """Of the bytes to the first answer, beside float32."""

  def size(precision):
    precisions = of_texts(precision, "float32", case.swapnet.num_units)
    pieces = case.stored(precisions).pieces
    found = jax.tree.leaves(
      {name: leaves for name, leaves in pieces.items() if "student" in name}
    )
    return sum(a.nbytes for a in found if len(np.unique(a)) > 1)

  return size(precision) / size("float32")
