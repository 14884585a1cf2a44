"""Network families, cut into units, and their named presets.

  from pwl_jax import models
  teacher, student = models.create_pair("resnet", num_classes=100)

One file per family, `lenet`, `vgg`, `resnet`, `vit` and `text`, each with a
function that returns a tuple of units; the presets are in `presets`, and
`python -m pwl_jax.models` lists them.
"""

import jax.numpy as jnp

from pwl_jax.method.checks import check_choice
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from pwl_jax.models.presets import PRESETS, Preset, Size
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
  dtype: layers.Dtype = jnp.float32,
  sync_axis: str | None = None,
) -> Network:
  """One network of a preset.

  Args:
    name: a key of `PRESETS`.
    role: "teacher" or "student".
    num_classes: of the head; the preset's own by default.
    input_shape: height, width, channels, or the number of tokens; the
      preset's own by default.
    dtype: to compute in, such as `jnp.bfloat16`; parameters and logits are
      float32.
    sync_axis: the mapped axis over which batch norms average the statistics
      of a batch in training; `None` keeps each device's to itself. Networks
      without batch norm are the same either way.
  """
  preset = get_preset(name)
  check_choice("role", role, ROLES)
  size = getattr(preset, role)
  units = preset.build(
    **{**preset.common, **size.options},
    num_classes=preset.num_classes if num_classes is None else num_classes,
    dtype=dtype,
  )
  if input_shape is not None and len(input_shape) != len(preset.image):
    raise ValueError(
      f"input_shape {tuple(input_shape)} does not fit preset {name!r}, which "
      f"takes {len(preset.image)} numbers, such as {preset.image}"
    )
  network = Network(
    units, tuple(input_shape or preset.image), preset.input_dtype
  )
  return with_sync_axis(network, sync_axis)


def create_pair(name: str, **options) -> tuple[Network, Network]:
  """Teacher and student of a preset; `options` are those of `create`."""
  teacher, student = (create(name, role, **options) for role in ROLES)
  return teacher, student


def get_preset(name: str) -> Preset:
  check_choice(
    "preset",
    name,
    PRESETS,
    otherwise="build a network of your own as docs/extending.md shows",
  )
  return PRESETS[name]
