"""A per-device step on all devices: `pmap` or `shard_map`, the same bits.

The state, the frozen variables and the key are one copy on every device. The
data of a step is either one copy too, of which each device takes its rows, or
split over the devices along its first axis. Today's pmap is itself a jit of a
shard_map; both forms take and return the same arrays, also where the devices
belong to several processes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pwl_jax.method.checks import check_choice
from pwl_jax.training.step import AXIS

WRAPPERS = ("pmap", "shard_map")
Devices = Sequence[jax.Device]


def sharding(devices: Devices, *axes: str | None) -> NamedSharding:
  """Replicated; or split along the axis of an array that is named AXIS."""
  return NamedSharding(Mesh(devices, (AXIS,)), PartitionSpec(*axes))


def replicate(tree: Any, devices: Devices) -> Any:
  """NumPy arrays, alike in all processes -> a copy on every device."""
  everywhere = sharding(devices)

  def put(array):
    array = np.asarray(array)
    return jax.make_array_from_callback(
      array.shape, everywhere, lambda index: array[index]
    )

  return jax.tree.map(put, tree)


def replicate_key(key: jax.Array, devices: Devices) -> jax.Array:
  data = replicate(jax.random.key_data(key), devices)
  return jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))


def split(tree: Any, devices: Devices) -> Any:
  """This process's rows of a batch -> [devices, rows, ...], one part each."""
  apart = sharding(devices, AXIS)
  here = sum(d.process_index == jax.process_index() for d in devices)
  return jax.tree.map(
    lambda rows: jax.make_array_from_process_local_data(
      apart, rows.reshape(here, -1, *rows.shape[1:])
    ),
    tree,
  )


def of_all_processes(tree: Any, devices: Devices) -> Any:
  """pmap returns this process's copies; they are copies of one array of all."""
  everywhere = sharding(devices)

  def whole(array):
    if array.sharding.is_equivalent_to(everywhere, array.ndim):
      return array
    copies = [shard.data for shard in array.addressable_shards]
    return jax.make_array_from_single_device_arrays(
      array.shape, everywhere, copies
    )

  return jax.tree.map(whole, tree)


def parallelise(
  step: Callable, devices: Devices, *, how: str = "pmap", apart: bool = False
) -> Callable:
  """step(state, frozen, arrays, key) on every device; the state is donated.

  Args:
    step: per device; what it returns has to be the same on all of them.
    devices: of all processes.
    how: one of `WRAPPERS`.
    apart: `arrays` have a first axis of devices, and each gets its part.
  """
  check_choice("parallel", how, WRAPPERS)
  run = {"pmap": _pmapped, "shard_map": _shard_mapped}[how](
    step, devices, apart
  )
  if len(devices) > 1 and devices[0].platform == "cpu":
    return _one_at_a_time(run)
  return run


def _pmapped(step, devices, apart):
  mapped = jax.pmap(
    # A pmap has to map something: nobody reads it.
    lambda state, frozen, arrays, key, _: step(state, frozen, arrays, key),
    axis_name=AXIS,
    in_axes=(None, None, 0 if apart else None, None, 0),
    out_axes=None,
    devices=devices,
    donate_argnums=0,
  )
  index = jax.make_array_from_callback(
    (len(devices),),
    sharding(devices, AXIS),
    lambda index: np.arange(len(devices))[index],
  )

  def run(*args):
    return mapped(*args, index)

  return run


def _shard_mapped(step, devices, apart):
  def with_own_part(state, frozen, arrays, key):
    if apart:
      arrays = jax.tree.map(lambda part: part[0], arrays)
    return step(state, frozen, arrays, key)

  return on_all(
    with_own_part, devices, apart=(False, False, apart, False), donate=0
  )


def on_all(
  function: Callable,
  devices: Devices,
  *,
  apart: Sequence[bool],
  donate: int | tuple[int, ...] = (),
) -> Callable:
  """A per-device function on all devices, which see each other along AXIS.

  Args:
    function: what it returns has to be the same on all of them.
    devices: of all processes.
    apart: for each argument, whether every device gets its part of the first
      axis, or all of them the whole.
    donate: the arguments whose arrays are given away.
  """
  whole, part = PartitionSpec(), PartitionSpec(AXIS)
  return jax.jit(
    jax.shard_map(
      function,
      mesh=Mesh(devices, (AXIS,)),
      in_specs=tuple(part if is_apart else whole for is_apart in apart),
      out_specs=whole,
      # Checked, grad-then-pmean gives n times the gradient (jax 0.10-0.12).
      check_vma=False,
    ),
    donate_argnums=donate,
  )


def _one_at_a_time(run: Callable) -> Callable:
  """Virtual CPU devices share threads: two steps in flight can deadlock."""

  def wait(*args):
    return jax.block_until_ready(run(*args))

  return wait


def check_batch(batch_size: int, num_devices: int, *, pairs: bool):
  """Each device needs as many rows, and an even number where they pair up."""
  unit = num_devices * (2 if pairs else 1)
  if batch_size < unit or batch_size % unit:
    lower = batch_size // unit * unit
    raise ValueError(
      f"a batch of {batch_size} does not divide over {num_devices} devices"
      + (" in pairs, which mixed batches and mixup need" if pairs else "")
      + f"; use a multiple of {unit}, such as {lower or unit}"
    )
