"""Batch norms that see the batch of all devices, not the share of one.

Inside `pmap` or `shard_map` each device runs its rows alone; with the name of
the mapped axis a batch norm in training mode averages its statistics over it.
Nothing else changes: weights, running averages and evaluation are the same.
"""

import dataclasses

from flax import linen as nn

from pwl_jax.method.network import Network

FIELD = "sync_axis"


def with_sync_axis(network: Network, axis: str | None) -> Network:
  """The network with the axis its batch norms average over, or `None`.

  It is a field of the units that have batch norms; the others stay as they
  are. Training mode then works only where the axis is mapped.
  """
  units = tuple(_set(unit, axis) for unit in network.units)
  return dataclasses.replace(network, units=units)


def _set(module: nn.Module, axis: str | None) -> nn.Module:
  """The field set here and in the modules that are fields, such as a stem."""
  changes = {}
  for field in dataclasses.fields(module):
    value = getattr(module, field.name)
    if field.name == FIELD:
      changes[FIELD] = axis
    elif isinstance(value, nn.Module):
      changes[field.name] = _set(value, axis)
  return module.clone(**changes) if changes else module
