"""Network families, cut into units, and their named presets.

  from pwl_jax import models
  teacher, student = models.create_pair("resnet", num_classes=100)

One file per family, `lenet`, `vgg`, `resnet`, `vit`, `text` and `audio`, each
with a function that returns a tuple of units; the presets are in files beside
them, and `python -m pwl_jax.models` lists them.
"""

from collections.abc import Mapping

import jax.numpy as jnp

from pwl_jax.method.checks import check_choice
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from pwl_jax.models.preset import Preset, Size
from pwl_jax.models.presets import PRESETS
from pwl_jax.models.sync import with_sync_axis

__all__ = [
  "PRESETS",
  "ROLES",
  "Preset",
  "Size",
  "create",
  "create_pair",
  "with_sync_axis",
]

ROLES = ("teacher", "student")


def create(
  name: str,
  role: str,
  *,
  num_classes: int | None = None,
  input_shape: tuple[int, ...] | None = None,
  vocab_size: int | None = None,
  sample_rate: int | None = None,
  dtype: layers.Dtype = jnp.float32,
  sync_axis: str | None = None,
) -> Network:
  """One network of a preset.

  Args:
    name: a key of `PRESETS`.
    role: "teacher" or "student".
    num_classes: of the head; the preset's own by default.
    input_shape: height, width, channels; the number of tokens; that of
      samples. The preset's own by default.
    vocab_size: of texts, how many different tokens there are; likewise.
    sample_rate: of sounds, samples in a second; likewise.
    dtype: to compute in, such as `jnp.bfloat16`; parameters and logits are
      float32.
    sync_axis: the mapped axis over which batch norms average the statistics
      of a batch in training; `None` keeps each device's to itself. Networks
      without batch norm are the same either way.
  """
  preset = get_preset(name)
  check_choice("role", role, ROLES)
  size = getattr(preset, role)
  input_shape = preset.input_shape if input_shape is None else input_shape
  data = {"vocab_size": vocab_size, "sample_rate": sample_rate}
  given = {name: value for name, value in data.items() if value is not None}
  _check_kind(name, tuple(input_shape), given)
  if preset.kind == "texts":
    given["max_length"] = max(preset.common["max_length"], *input_shape)
  units = preset.build(
    **{**preset.common, **size.options, **given},
    num_classes=preset.num_classes if num_classes is None else num_classes,
    dtype=dtype,
  )
  network = Network(units, tuple(input_shape), preset.input_dtype)
  return with_sync_axis(network, sync_axis)


def create_pair(name: str, **options) -> tuple[Network, Network]:
  """Teacher and student of a preset; `options` are those of `create`."""
  teacher, student = (create(name, role, **options) for role in ROLES)
  return teacher, student


def _check_kind(name: str, input_shape: tuple[int, ...], given: Mapping):
  """Raises where data of one kind is for a preset of another."""

  def fits(preset):
    sides = len(preset.input_shape) == len(input_shape)
    return sides and given.keys() <= preset.common.keys()

  preset = PRESETS[name]
  if fits(preset):
    return
  others = [other for other, preset in PRESETS.items() if fits(preset)]
  told = {"input_shape": input_shape, **given}
  raise ValueError(
    f"preset {name!r} is for {preset.kind}, whose input_shape is "
    f"{len(preset.input_shape)} numbers, such as {preset.input_shape}; {told} "
    "does not fit" + (f", but would fit {', '.join(others)}" if others else "")
  )


def get_preset(name: str) -> Preset:
  check_choice(
    "preset",
    name,
    PRESETS,
    otherwise="build a network of your own as docs/extending.md shows",
  )
  return PRESETS[name]
