"""A network as a chain of units, the pieces that are stored and swapped.

The contract of a unit: a Flax module called as `unit(feature, *, train)`. It
takes the feature of the boundary before it (the first unit: a batch of
inputs) and returns the feature of the boundary behind it (the last unit:
logits, [b, k]). A feature is an array with the batch as its first axis and the
channels as its last, or `feature.Masked`, where examples differ in length.
A unit may hold the collections `params` and `batch_stats`, and may draw
random numbers in training from the stream `dropout`; nothing else.

The variables of a network are keyed unit -> collection -> ..., so one unit's
can be taken, stored, restored and applied alone:

  network = Network(units=(Stem(), Body(), Head()), input_shape=(32, 32, 3))
  variables = network.init(jax.random.key(0))
  variables["unit1"]  # {"params": ..., "batch_stats": ...}
  logits = network.logits(variables, images)
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.errors
import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method.feature import Feature, values_of

Variables = Mapping[str, Any]
BatchStats = dict[str, Any]  # unit -> its running averages


class Pass(NamedTuple):
  """What one run of a network, or of a composition, leaves behind."""

  logits: jax.Array  # [b, k]
  features: tuple[Feature, ...]  # behind every unit but the last
  batch_stats: BatchStats  # of the units that ran in training mode


def unit_name(index: int) -> str:
  return f"unit{index}"


def apply_unit(
  unit: nn.Module,
  variables: Variables,
  feature: Feature,
  *,
  train: bool = False,
  key: jax.Array | None = None,
) -> tuple[Feature, Any]:
  """Runs one unit; returns its output and its batch statistics afterwards."""
  if not train:
    output = unit.apply(variables, feature, train=False)
    return output, variables.get("batch_stats", {})
  output, updated = unit.apply(
    variables,
    feature,
    train=True,
    mutable=["batch_stats"],
    rngs=None if key is None else {"dropout": key},
  )
  return output, updated.get("batch_stats", {})


def unit_key(key: jax.Array | None, index: int) -> jax.Array | None:
  """The key of one unit; `None` stays `None`, for units that draw nothing."""
  return None if key is None else jax.random.fold_in(key, index)


@dataclasses.dataclass(frozen=True)
class Network:
  """Units in the order they run, and what one input is, without batch."""

  units: tuple[nn.Module, ...]
  input_shape: tuple[int, ...]
  input_dtype: str = "float32"  # "int32" for tokens.

  def __post_init__(self):
    # Tuples, so that a network can be a static argument of jit.
    object.__setattr__(self, "units", tuple(self.units))
    object.__setattr__(self, "input_shape", tuple(self.input_shape))
    if not self.units:
      raise ValueError(
        "a network needs at least one unit, got none; give a tuple of Flax "
        "modules, the first with the stem and the last with the head"
      )

  @property
  def num_units(self) -> int:
    return len(self.units)

  @property
  def num_classes(self) -> int:
    return self.shapes()[-1][-1]

  def init(self, key: jax.Array) -> dict[str, Any]:
    """Draws the variables of every unit."""
    feature = self._nothing()
    variables = {}
    for i, unit in enumerate(self.units):
      drawn = unit.init(jax.random.fold_in(key, i), feature, train=False)
      variables[unit_name(i)] = drawn
      feature, _ = apply_unit(unit, drawn, feature)
    return variables

  def check_input(self, x: jax.Array):
    """Raises where x cannot be a batch of inputs; the sides may differ."""
    expected = self.input_shape
    channels = len(expected) == 1 or x.shape[-1:] == expected[-1:]
    if x.ndim != len(expected) + 1 or not channels:
      sizes = ", ".join(map(str, ("b", *expected)))
      raise ValueError(
        f"an input of shape {list(x.shape)} does not fit: expected [{sizes}], "
        "a batch with the channels last"
      )

  def shapes(self) -> tuple[tuple[int, ...], ...]:
    """The shape of one example behind each unit; the last is the logits'."""
    return tuple(values_of(f).shape[1:] for f in self._traced[1])

  def abstract_features(self) -> tuple[Feature, ...]:
    """What goes into each unit, and last the logits: batches of one."""
    return (jax.eval_shape(self._nothing), *self._traced[1])

  def abstract_variables(self) -> dict[str, Any]:
    """The variables' shapes and dtypes, without computing any of them."""
    # Copies, one by one: tree.map would sort unit10 in front of unit2.
    return {
      name: jax.tree.map(lambda leaf: leaf, unit)
      for name, unit in self._traced[0].items()
    }

  def apply(
    self,
    variables: Variables,
    x: jax.Array,
    *,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> Pass:
    """Runs every unit and keeps the features between them."""
    self.check_input(x)
    feature, outputs, batch_stats = x, [], {}
    for i, unit in enumerate(self.units):
      name = unit_name(i)
      feature, stats = apply_unit(
        unit, variables[name], feature, train=train, key=unit_key(key, i)
      )
      outputs.append(feature)
      if train:
        batch_stats[name] = stats
    return Pass(outputs[-1], tuple(outputs[:-1]), batch_stats)

  @functools.cached_property
  def repeatable(self) -> bool:
    """Whether training gives an example the same features in every batch.

    So it is where no unit has batch statistics, and none draws.
    """
    variables, _ = self._traced
    if any("batch_stats" in unit for unit in variables.values()):
      return False
    train = functools.partial(self.apply, x=self._nothing(), train=True)
    try:
      jax.eval_shape(train, variables)
    except flax.errors.InvalidRngError:  # It asked for a key.
      return False
    return True

  def logits(self, variables: Variables, x: jax.Array) -> jax.Array:
    """[b, *input_shape] -> [b, k], in evaluation mode."""
    return self.apply(variables, x).logits

  def _nothing(self) -> jax.Array:
    """A batch of one input."""
    return jnp.zeros((1, *self.input_shape), self.input_dtype)

  @functools.cached_property  # Tracing a large network takes a second.
  def _traced(self):
    def run(key):
      variables = self.init(key)
      out = self.apply(variables, self._nothing())
      return variables, (*out.features, out.logits)

    variables, outputs = jax.eval_shape(run, jax.random.key(0))
    names = map(unit_name, range(self.num_units))
    return {name: variables[name] for name in names}, outputs
