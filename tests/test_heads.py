"""A new head for other classes; everything before it stays as it was."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from pwl_jax import models
from pwl_jax.interop import head_mask, load_network, with_classes
from pwl_jax.method.network import Network
from pwl_jax.method.variables import split
from tests.cases import trees_equal
from tests.checkpoints import FIXTURES, Golden


@pytest.mark.parametrize(
  "name",
  [
    "huggingface/resnet_basic",
    "huggingface/vit",
    "reference/lenet5",
    "torchvision/torchvision_vgg",
  ],
)
def test_a_new_head_leaves_all_before_it_as_it_was(name):
  network, variables = load_network(FIXTURES / name)
  x = Golden(FIXTURES / name).x
  key = jax.random.key(0)
  other, renewed, changed = with_classes(network, variables, 3, key)
  assert changed and other.num_classes == 3
  before, after = network.apply(variables, x), other.apply(renewed, x)
  assert after.logits.shape == (len(x), 3)
  assert trees_equal(before.features, after.features)
  # What stays are the same arrays, and what changes is what the mask names.
  stays = [id(leaf) for leaf in jax.tree.leaves(variables)]
  new = jax.tree.map(lambda leaf: id(leaf) not in stays, renewed)
  assert split({"t": new})[0]["t"] == head_mask(network) == head_mask(other)
  assert sum(jax.tree.leaves(new)) == 2  # A kernel and a bias.
  abstract = other.abstract_variables()
  assert jax.tree.map(jnp.shape, renewed) == jax.tree.map(jnp.shape, abstract)


def test_as_many_classes_are_the_same_head():
  network, variables = load_network(FIXTURES / "reference/lenet5")
  kept = with_classes(network, variables, 10, jax.random.key(0))
  assert kept == (network, variables, False)
  _, first, _ = with_classes(network, variables, 3, jax.random.key(0))
  _, again, _ = with_classes(network, variables, 3, jax.random.key(0))
  _, other, _ = with_classes(network, variables, 3, jax.random.key(1))
  assert trees_equal(first, again) and not trees_equal(first, other)
  with pytest.raises(ValueError, match="must be positive, got 0"):
    with_classes(network, variables, 0, jax.random.key(0))


class Odd(nn.Module):
  """A unit whose head is not one dense layer."""

  kind: str
  num_classes: int = 4

  @nn.compact
  def __call__(self, x, *, train):
    if self.kind == "two":
      x = nn.Dense(self.num_classes, name="first")(x)
    x = nn.Dense(4 if self.kind == "fixed" else self.num_classes, name="head")(
      x
    )
    if self.kind == "normed":
      x = nn.BatchNorm(not train, name="norm")(x)
    return x


class Headless(nn.Module):
  @nn.compact
  def __call__(self, x, *, train):
    return nn.Dense(4, name="head")(x)


@pytest.mark.parametrize(
  "unit,message",
  [
    (Odd("two"), "params/first/.*params/head/.* one dense layer"),
    (Odd("normed"), "batch_stats/norm/mean.* one dense layer"),
    (Odd("fixed"), "changes nothing"),
    (Headless(), "Headless, has no field num_classes"),
  ],
)
def test_a_head_that_cannot_be_told_is_refused(unit, message):
  network = Network((unit,), (5,))
  key = jax.random.key(0)
  variables = network.init(key)
  with pytest.raises(ValueError, match=message):
    with_classes(network, variables, 3, key)
  with pytest.raises(ValueError, match=message):
    head_mask(network)


@pytest.mark.parametrize(
  "name",
  [
    *("lenet5", "tiny_vgg", "tiny_resnet", "tiny_vit"),
    *("tiny_text", "tiny_audio"),
  ],
)
def test_every_family_has_one_head(name):
  """Its leaves are as many as the classes ask for."""
  network = models.create(name, "student", num_classes=7)
  mask = head_mask(network)
  params = split({"s": network.abstract_variables()})[0]["s"]
  assert jax.tree.structure(mask) == jax.tree.structure(params)
  *_, width = jax.tree.leaves(params[f"unit{network.num_units - 1}"]["head"])
  heads = jax.tree.map(lambda m, leaf: leaf.size * m, mask, params)
  assert sum(jax.tree.leaves(heads)) == 7 * (width.shape[0] + 1)
