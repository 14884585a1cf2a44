"""Fitting a loaded teacher to a student: as many units, the same inputs."""

import dataclasses
from typing import Any

from pwl_jax.method.network import Network, Variables, unit_name
from pwl_jax.models.resnet import ResNetUnit
from pwl_jax.models.text import TextUnit
from pwl_jax.models.vgg import VGGUnit
from pwl_jax.models.vit import ViTUnit

# Units of layers -> the field that says that one also embeds.
FIRST = {ViTUnit: "patch", TextUnit: "vocabulary"}


def cut(
  network: Network, variables: Variables, num_units: int
) -> tuple[Network, dict[str, Any]]:
  """The same network in so many units; only a Transformer can be cut anew.

  Its layers are shared out evenly. The arrays are the same, under other names.
  """
  if network.num_units == num_units:
    return network, dict(variables)
  first, last = network.units[0], network.units[-1]
  if type(first) not in FIRST:
    raise ValueError(
      f"this network has {network.num_units} units, where its resolution or "
      f"its kind of layer changes, and cannot be cut into {num_units}; take a "
      f"student of {network.num_units} units, or another teacher"
    )
  num_layers = sum(unit.depth for unit in network.units)
  if num_units < 1 or num_layers % num_units:
    divisors = [n for n in range(1, num_layers + 1) if num_layers % n == 0]
    raise ValueError(
      f"{num_layers} layers do not divide evenly over {num_units} units; use "
      f"a number of units in {divisors}, or the loader of this format with a "
      "list of layers_per_unit"
    )
  depth, embeds = num_layers // num_units, FIRST[type(first)]
  units = tuple(
    first.clone(
      depth=depth,
      num_classes=last.num_classes if i == num_units - 1 else None,
      **{embeds: None if i else getattr(first, embeds)},
    )
    for i in range(num_units)
  )
  cut_network = dataclasses.replace(network, units=units)
  return cut_network, _regroup(network, variables, depth, num_units)


def _regroup(network, variables, depth, num_units):
  """layer0, layer1, ... of every unit, in the order they run."""
  layers, ends = [], {}
  for i, unit in enumerate(network.units):
    params = dict(variables[unit_name(i)]["params"])
    layers += [params.pop(f"layer{j}") for j in range(unit.depth)]
    ends |= params  # What is before the first layer and behind the last.
  units = [
    {f"layer{j}": layers[i * depth + j] for j in range(depth)}
    for i in range(num_units)
  ]
  for name, tree in ends.items():
    units[0 if name == "embed" else -1][name] = tree
  return {unit_name(i): {"params": unit} for i, unit in enumerate(units)}


def with_input_shape(network: Network, input_shape: tuple[int, ...]) -> Network:
  """The same network for inputs of another size, where weights allow it."""
  shape, given = network.input_shape, tuple(input_shape)
  if given == shape:
    return network
  if isinstance(network.units[0], TextUnit):
    return _with_length(network, given)
  if len(given) != len(shape) or given[-1] != shape[-1]:
    raise ValueError(
      f"input_shape {given} does not fit: this network takes images of "
      f"{shape[-1]} channels, such as {shape}"
    )
  if not isinstance(network.units[0], ResNetUnit | VGGUnit):
    raise ValueError(
      f"input_shape {given} does not fit: this network takes only images of "
      f"{shape}, the size its weights were trained for, since it has a "
      "position for every patch or a dense layer on the whole image; resize "
      "the images to that"
    )
  network = dataclasses.replace(network, input_shape=given)
  network.shapes()  # Raises where nothing would be left of the image.
  return network


def _with_length(network: Network, given: tuple[int, ...]) -> Network:
  """For texts of so many tokens; the weights stay, for as many as before."""
  longest = network.units[0].vocabulary.max_length
  if len(given) != 1 or not 0 < given[0] <= longest:
    raise ValueError(
      f"input_shape {given} does not fit: this network takes texts of up to "
      f"{longest} tokens, so give one number from 1 to {longest}, as in "
      f"({longest},)"
    )
  return dataclasses.replace(network, input_shape=given)
