"""Pruned networks: the whole ones, where what was taken out counts nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from pwl_jax.compress import prune
from pwl_jax.compress.restore import with_statistics_of
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models import inner
from pwl_jax.models.lenet import lenet
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit
from tests.cases import Case, assert_close, trees_equal

IMAGE = (8, 8, 3)
BOTTLENECK = dict(stem_width=8, block="bottleneck", stem="imagenet")
# By family: with heads of several layers, and blocks of three.
NETWORKS = {
  "basic": (resnet((4, 6), (1, 2), stem_width=4), IMAGE),
  "bottleneck": (resnet((16, 32), (1, 2), **BOTTLENECK), (16, 16, 3)),
  "vgg": (vgg((4, 6), (3, 1), dense_widths=(8, 6), pool_to=2), IMAGE),
  "lenet": (lenet((3, 4), (8, 6)), (32, 32, 3)),
  "vit": (
    vit(
      width=8, heads=2, mlp_width=10, num_layers=2, layers_per_unit=1, patch=4
    ),
    IMAGE,
  ),
}
PRESETS = ("tiny_text", "tiny_audio")
NAMES = (*NETWORKS, *PRESETS)
PER_GROUP = {"bottleneck": 6, "vgg": 4, "lenet": 1, "basic": 3, "vit": 2}


def case_of(name, tiny):
  """A network, variables of which none is zero, and inputs."""
  if name in PRESETS:
    case = tiny(name)
    return case.swapnet.teacher, case.variables["teacher"], case.x
  network = Network(*NETWORKS[name])
  case = Case(SwapNet.create(network, network), batch=3)
  return network, case.variables["teacher"], case.x


def groups(network):
  """(unit's name, an Inner) for all of them."""
  return [
    (f"unit{i}", channels)
    for i, unit in enumerate(network.units)
    for channels in inner.inner_channels(unit)
  ]


def squares(variables, channels):
  """The sum of squares of every channel, with loops."""
  flat = traverse_util.flatten_dict(variables["params"], sep="/")
  making = np.asarray(flat[f"{channels.made_by}/kernel"])
  taking = np.asarray(flat[f"{channels.used_by}/kernel"])
  return [
    (making[..., c] ** 2).sum() + (taking[..., c, :] ** 2).sum()
    for c in range(making.shape[-1])
  ]


def without(network, variables, share):
  """The whole network, where nothing takes the smallest channels."""
  found = jax.tree.map(np.array, variables)
  for name, channels in groups(network):
    sizes = squares(variables[name], channels)
    flat = traverse_util.flatten_dict(found[name]["params"], sep="/")
    gone = len(sizes) - prune.kept(len(sizes), share)
    flat[f"{channels.used_by}/kernel"][..., np.argsort(sizes)[:gone], :] = 0
  return jax.tree.map(jnp.asarray, found)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
@pytest.mark.parametrize("name", NAMES)
def test_a_pruned_network_is_the_whole_one_without_these_channels(
  name, share, tiny
):
  network, variables, x = case_of(name, tiny)
  smaller, pruned = prune.prune_channels(network, variables, share)
  assert smaller == prune.narrowed(network, share) != network
  shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), pruned)
  assert shapes == jax.tree.map(
    lambda leaf: (leaf.shape, leaf.dtype), smaller.abstract_variables()
  )
  expected = network.apply(without(network, variables, share), x)
  found = smaller.apply(pruned, x)
  assert_close(found.logits, expected.logits, 1e-5)
  # No width of a boundary has changed, and the order is as it was.
  jax.tree.map(
    lambda a, b: assert_close(a, b, 1e-5), found.features, expected.features
  )


@pytest.mark.parametrize("name", NAMES)
def test_all_leaves_of_a_channel_are_known(name, tiny):
  """What becomes smaller in a narrower network is in a group, and only it."""
  network, *_ = case_of(name, tiny)
  smaller = prune.narrowed(network, 0.5)
  if name in PER_GROUP:
    assert len(groups(network)) == PER_GROUP[name]
  before, after = (
    traverse_util.flatten_dict(n.abstract_variables(), sep="/")
    for n in (network, smaller)
  )
  changed = {path for path in before if before[path].shape != after[path].shape}
  named = {
    path
    for unit, channels in groups(network)
    for path in before
    if path.rpartition("/")[0]
    in (
      f"{unit}/params/{channels.made_by}",
      f"{unit}/params/{channels.norm}",
      f"{unit}/batch_stats/{channels.norm}",
    )
    or path == f"{unit}/params/{channels.used_by}/kernel"
  }
  assert changed == named


@pytest.mark.parametrize("name", NAMES)
def test_no_share_changes_nothing(name, tiny):
  network, variables, _ = case_of(name, tiny)
  other, same = prune.prune_channels(network, variables, 0.0)
  assert other == network and trees_equal(same, variables)
  assert trees_equal(prune.prune_weights(variables, 0.0), variables)


def test_a_pruned_network_can_be_pruned_once_more(tiny):
  network, variables, x = case_of("basic", tiny)
  for share, width in ((0.5, 2), (0.5, 1), (0.9, 1)):
    if network.units[0].inner_width == width:
      with pytest.raises(ValueError, match="takes no channel out"):
        prune.prune_channels(network, variables, 0.1)
    network, variables = prune.prune_channels(network, variables, share)
    assert network.units[0].inner_width == width
    assert network.logits(variables, x).shape == (3, 10)


@pytest.mark.parametrize("count", [1, 2, 7, 10, 100])
def test_how_many_stay_is_a_plain_number(count):
  assert prune.kept(count, 0.0) == count
  assert prune.kept(count, 0.999) == 1
  for percent in range(100):
    taken = percent * count // 100
    assert prune.kept(count, percent / 100) == max(1, count - taken)


def test_networks_and_shares_that_do_not_go_together_are_refused():
  plain = Network(vgg((4, 6), (1, 1)), IMAGE)  # One convolution per unit.
  basic = Network(*NETWORKS["basic"])
  cases = [
    (plain, 0.5, "it has none to spare"),
    (basic, 0.1, r"inside of its units there are 4, 6; give at least 0\.167"),
    (basic, 1.0, "share is 1.0; it has to be at least 0 and below 1"),
    (basic, -0.5, "share is -0.5"),
  ]
  for network, share, message in cases:
    with pytest.raises(ValueError, match=message):
      prune.narrowed(network, share)
  with pytest.raises(ValueError, match=r"share is 1\.5"):
    prune.prune_weights({}, 1.5)


@pytest.mark.parametrize("share", [0.25, 0.8, 0.999])
def test_exactly_the_smallest_weights_of_each_kernel_become_zero(share, tiny):
  for name in ("basic", "tiny_text"):
    _, variables, _ = case_of(name, tiny)
    before = traverse_util.flatten_dict(variables, sep="/")
    pruned = prune.prune_weights(variables, share)
    after = traverse_util.flatten_dict(pruned, sep="/")
    kernels = [path for path in before if path.endswith("/kernel")]
    assert kernels and before.keys() == after.keys()
    for path, leaf in before.items():
      if path not in kernels:
        assert after[path] is leaf
        continue
      old, new = np.asarray(leaf), np.asarray(after[path])
      assert (new == 0).sum() == int(share * old.size)
      assert (new[new != 0] == old[new != 0]).all()
      assert abs(old[new == 0]).max() <= abs(new[new != 0]).min()
    again = prune.prune_weights(pruned, share)
    assert trees_equal(again, pruned)


def test_of_equal_weights_the_first_become_zero():
  tree = {"unit0": {"params": {"conv": {"kernel": -jnp.ones((2, 3))}}}}
  found = prune.prune_weights(tree, 0.5)["unit0"]["params"]["conv"]["kernel"]
  np.testing.assert_array_equal(found, [[0, 0, 0], [-1, -1, -1]])


def test_batch_norms_know_a_pruned_network_as_it_is(tiny):
  """As if it saw the batch in training; nothing else has changed."""
  network, variables, x = case_of("bottleneck", tiny)
  smaller, pruned = prune.prune_channels(network, variables, 0.5)
  found = with_statistics_of(smaller, pruned, x)
  expected = smaller.apply(found, x, train=True)
  assert_close(smaller.logits(found, x), expected.logits)
  for name, unit in found.items():
    assert trees_equal(unit["params"], pruned[name]["params"])
    # Running averages that are right do not move.
    jax.tree.map(
      lambda a, b: assert_close(a, b, 1e-3),
      unit["batch_stats"],
      expected.batch_stats[name],
    )


def test_without_batch_norms_there_is_nothing_to_measure(tiny):
  for name in ("vit", "tiny_text"):
    network, variables, x = case_of(name, tiny)
    assert trees_equal(with_statistics_of(network, variables, x), variables)
