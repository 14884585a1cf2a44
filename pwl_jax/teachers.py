"""The two networks of a run, what they begin with, and their tokeniser."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from pwl_jax.bundle.inputs import Input, SoundInput, TextInput
from pwl_jax.data.tokenizer_files import read_tokenizer, tokenizer_in
from pwl_jax.data.tokens import Tokenizer
from pwl_jax.existing import Start, Wanted, make_start
from pwl_jax.models.layers import Dtype
from pwl_jax.models.sync import with_sync_axis
from pwl_jax.training.artefacts import is_complete
from pwl_jax.training.parallel import Devices
from pwl_jax.training.step import AXIS


class Networks(NamedTuple):
  """Both, and what they begin with."""

  teacher: Start
  student: Start


def make_networks(
  preset: str,
  *,
  imported: Wanted,
  started: Wanted,
  num_classes: int,
  input: Input,
  dtype: Dtype,
  sync: bool,
  seed: int,
  devices: Devices,
  examples: Callable[[], jax.Array],
) -> Networks:
  """Teacher and student, each the preset's or one that exists.

  Args:
    preset: whose networks they are where they are not read.
    imported: the teacher that exists, if one does.
    started: what the distillation starts its student from, if from something.
    num_classes: of both; another number than that of what exists makes a new
      head.
    input: of both; what the preset says of texts and sounds gives way to it.
    dtype: to compute in.
    sync: batch norms see the batch of all devices.
    seed: of new heads.
    devices: where the variables go.
    examples: some inputs, for the batch norms of what is pruned.
  """
  starts = (
    make_start(
      role,
      wanted,
      preset=preset,
      num_classes=num_classes,
      seed=seed,
      devices=devices,
      examples=examples,
      sizes=dict(**_sizes(input), dtype=dtype),
    )
    for role, wanted in (("teacher", imported), ("student", started))
  )
  axis = AXIS if sync else None
  return Networks(
    *(
      start._replace(network=with_sync_axis(start.network, axis))
      for start in starts
    )
  )


def tokenizer_for(path: str, *networks: str) -> str:
  """That of a path, or else that which lies beside networks that exist.

  Of a foreign checkpoint it is in the same folder; what was trained here
  shares that of its workdir. "" where there is none, or no network.
  """
  if path:
    return read_tokenizer(path)
  found = {
    network: _beside(pathlib.Path(network)) for network in networks if network
  }
  if len(set(found.values()) - {""}) > 1:
    raise ValueError(
      f"{' and '.join(found)} have other tokenisers, so that one's numbers "
      "mean nothing to the other; use two networks of one tokeniser"
    )
  return next(filter(None, found.values()), "")


def _beside(network: pathlib.Path) -> str:
  is_inside = is_complete(network) or network.is_file()
  return tokenizer_in(network.parent if is_inside else network)


def _sizes(input: Input) -> dict[str, Any]:
  """What a network has to know of its data."""
  sizes: dict[str, Any] = {"input_shape": input.shape}
  if isinstance(input, TextInput):
    sizes["vocab_size"] = Tokenizer(input.tokenizer, input.length).vocab_size
  if isinstance(input, SoundInput):
    sizes["sample_rate"] = input.sample_rate
  return sizes
