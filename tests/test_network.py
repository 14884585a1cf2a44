"""The contract of a unit, and views of a variables tree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from pwl_jax.method.network import Network, apply_unit
from pwl_jax.method.variables import (
  average_stats,
  count_parameters,
  merge,
  split,
)
from tests.cases import assert_close, trees_equal


class Noisy(nn.Module):
  """A unit that draws in training, as one with dropout does."""

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.Dense(4)(x)
    return nn.Dropout(0.5, deterministic=not train)(x)


def test_units_applied_one_by_one_are_the_network(tiny):
  for name in ("tiny_vgg", "tiny_resnet", "tiny_vit"):
    case = tiny(name)
    network, variables = case.swapnet.teacher, case.variables["teacher"]
    whole = jax.jit(network.apply)(variables, case.x)
    run = jax.jit(lambda *args, unit: apply_unit(unit, *args)[0],
                  static_argnames="unit")  # fmt: skip
    feature = case.x
    for i, unit in enumerate(network.units):
      feature = run(variables[f"unit{i}"], feature, unit=unit)
      expected = [*whole.features, whole.logits][i]
      assert_close(feature, expected, 1e-6)


def test_shapes_without_computing_are_the_shapes_found(tiny):
  case = tiny("tiny_resnet")
  network = case.swapnet.student
  out = network.apply(case.variables["student"], case.x)
  found = [f.shape[1:] for f in (*out.features, out.logits)]
  assert list(network.shapes()) == found
  assert network.num_classes == 10
  abstract = network.abstract_variables()
  shapes = jax.tree.map(jnp.shape, case.variables["student"])
  assert jax.tree.map(lambda a: a.shape, abstract) == shapes


def test_training_mode_moves_only_the_batch_statistics(tiny):
  case = tiny("tiny_resnet")
  network, variables = case.swapnet.student, case.variables["student"]
  out = network.apply(variables, case.x, train=True)
  assert set(out.batch_stats) == {"unit0", "unit1", "unit2"}
  before = variables["unit0"]["batch_stats"]["stem"]["embed"]["norm"]
  after = out.batch_stats["unit0"]["stem"]["embed"]["norm"]
  kernel = variables["unit0"]["params"]["stem"]["embed"]["conv"]["kernel"]
  convolved = jax.lax.conv_general_dilated(
    case.x,
    kernel,
    (1, 1),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  for name, now in (
    ("mean", convolved.mean(axis=(0, 1, 2))),
    ("var", convolved.var(axis=(0, 1, 2))),
  ):
    assert_close(after[name], 0.9 * before[name] + 0.1 * now, 1e-5)
  assert network.apply(variables, case.x).batch_stats == {}


def test_units_draw_from_the_key_in_training_only():
  network = Network((Noisy(), Noisy()), (4,))
  variables = network.init(jax.random.key(0))
  x = jnp.ones((3, 4))
  runs = [
    network.apply(variables, x, train=True, key=jax.random.key(k)).logits
    for k in (1, 1, 2)
  ]
  np.testing.assert_array_equal(runs[0], runs[1])
  assert (runs[0] != runs[2]).any()
  plain = network.logits(variables, x)
  np.testing.assert_array_equal(plain, network.logits(variables, x))


@pytest.mark.parametrize(
  "name, expected",
  [
    *(("tiny_vit", True), ("tiny_text", True)),
    *(("tiny_vgg", False), ("tiny_resnet", False)),  # Batch norms.
  ],
)
def test_what_looks_at_its_own_example_alone_is_repeatable(
  tiny, name, expected
):
  case = tiny(name)
  student, variables = case.swapnet.student, case.variables["student"]
  assert student.repeatable == expected
  whole, part = (
    student.apply(variables, x, train=True).logits for x in (case.x, case.x[:4])
  )
  assert np.allclose(whole[:4], part, rtol=1e-4, atol=1e-5) == expected


def test_what_draws_is_not_repeatable():
  assert not Network([Noisy()], (4,)).repeatable


def test_units_of_one_network_start_differently():
  variables = Network((Noisy(), Noisy()), (4,)).init(jax.random.key(0))
  first, second = (v["params"]["Dense_0"]["kernel"] for v in variables.values())
  assert (first != second).any()


def test_lists_become_tuples_so_that_it_can_be_a_static_argument():
  network = Network([Noisy()], [4])
  assert network == Network((Noisy(),), (4,)) and hash(network)


def test_a_network_without_units_is_refused():
  with pytest.raises(ValueError, match="at least one unit"):
    Network((), (4,))


def test_split_and_merge_are_inverse_and_lose_nothing(tiny):
  for name in ("tiny_vgg", "tiny_vit"):
    variables = tiny(name).variables
    params, batch_stats = split(variables)
    assert trees_equal(merge(params, batch_stats), variables)
    sizes = [
      sum(leaf.size for leaf in jax.tree.leaves(tree))
      for tree in (params, batch_stats, variables)
    ]
    assert sizes[0] + sizes[1] == sizes[2]
    assert count_parameters(variables) == sizes[0]


def test_average_is_per_unit_over_the_passes_that_ran_it():
  one, three = {"mean": jnp.array(1.0)}, {"mean": jnp.array(3.0)}
  found = average_stats([{"unit0": one, "unit1": one}, {"unit1": three}, {}])
  assert found["unit0"]["mean"] == 1 and found["unit1"]["mean"] == 2
  assert average_stats([]) == {}
