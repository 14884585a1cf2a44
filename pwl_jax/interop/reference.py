"""Swap networks as the authors' PyTorch code writes them.

  swapnet, variables = load_reference("runs/resnet")
  logits = swapnet.logits(variables, images, "TTSS")

The directory holds `model.safetensors`, with the tensors of both networks and
of the converters, and a `config.json` each in `teacher_config/` and
`student_config/`. Boundaries without converter tensors are those of equal
widths. The file of a ViT holds a final LayerNorm which the authors' forward
pass never applies; it is checked and left out.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from pwl_jax.interop import huggingface
from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.layouts import flattened
from pwl_jax.interop.tensors import (
  Checkpoint,
  Leaf,
  Source,
  read_network,
  square_side,
  torch_source,
)
from pwl_jax.method.network import Network
from pwl_jax.method.pairing import boundary_widths
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models import layers
from pwl_jax.models.lenet import lenet
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit

# Where a config does not say the image size, the first that reaches the head.
IMAGE_SIDES = (32, 64, 128, 256, 512)


class Part(NamedTuple):
  """One of the two networks of a directory."""

  units: tuple[nn.Module, ...]
  image: tuple[int, int] | None  # height and width, where the config tells
  channels: int
  locate: Callable[[Leaf], Source]  # names behind "swapnet.teacher."
  unused: dict[str, tuple[int, ...]]  # tensors no forward pass uses


def load_reference(
  directory: str | pathlib.Path, *, dtype: layers.Dtype = jnp.float32
) -> tuple[SwapNet, dict[str, Any]]:
  """The swap network of a directory, and its variables.

  Args:
    directory: as the authors' code writes it.
    dtype: to compute in; parameters are float32.
  """
  directory = pathlib.Path(directory)
  checkpoint = Checkpoint(directory / "model.safetensors")
  parts = {}
  for role in ("teacher", "student"):
    config = ForeignConfig(directory / f"{role}_config" / "config.json")
    family = FAMILIES[config.choose("model_type", FAMILIES)]
    with config.blamed():
      parts[role] = family(config, dtype)
  networks = _networks(parts)
  widths = boundary_widths(**networks)
  kinds = [
    _converter_kind(checkpoint, i, *pair) for i, pair in enumerate(widths)
  ]
  swapnet = SwapNet.create(**networks, converter=kinds)
  variables = {
    role: _read_part(checkpoint, f"swapnet.{role}.", part, networks[role])
    for role, part in parts.items()
  }
  variables["converters"] = _read_converters(checkpoint, swapnet)
  checkpoint.finish()
  return swapnet, variables


def _networks(parts: dict[str, Part]) -> dict[str, Network]:
  """Both networks, for the same images where the configs leave it open."""
  for side in IMAGE_SIDES:
    networks = {
      role: Network(part.units, (*(part.image or (side, side)), part.channels))
      for role, part in parts.items()
    }
    try:
      for network in networks.values():
        network.shapes()
    except ValueError as error:
      reason = error
      continue
    return networks
  raise ValueError(
    "the two config.json files describe networks that take no image up to "
    f"{IMAGE_SIDES[-1]} pixels a side: {reason}"
  )


def _read_part(checkpoint, prefix, part, network):
  def locate(leaf: Leaf) -> Source:
    names, layout = part.locate(leaf)
    return Source([prefix + name for name in names], layout)

  variables = read_network(checkpoint, network, locate)
  for name, shape in part.unused.items():
    checkpoint.skip([prefix + name], shape)
  return variables


def _converter_kind(checkpoint, i, teacher_width, student_width) -> str:
  """Linear where the file has any of a converter, or where it must."""
  stored = any(
    name.startswith(f"swapnet.{half}.{i}.")
    for name in checkpoint.names()
    for half in ("encoders", "decoders")
  )
  return "linear" if stored or teacher_width != student_width else "identity"


def _read_converters(checkpoint, swapnet) -> dict[str, Any]:
  abstract = jax.eval_shape(swapnet.init_converters, jax.random.key(0))
  flat = traverse_util.flatten_dict(abstract, keep_empty_nodes=True)
  found = {}
  for path, leaf in flat.items():
    if path[1:]:
      boundary, _, half, name = path
      i = boundary.removeprefix("boundary")
      modules = [f"swapnet.{half}s.{i}.linear"]
      source = torch_source(Leaf(int(i), (half,), name, leaf.shape), modules)
      leaf = checkpoint.read(source, leaf)
    found[path] = leaf
  return traverse_util.unflatten_dict(found)


def _lenet(config: ForeignConfig, dtype) -> Part:
  conv_widths = config.integers("cnn_channels")
  flat, *dense_widths = config.integers("fc_sizes")
  first_dense = len(conv_widths)
  side = square_side(flat // conv_widths[-1], f"{config.path}: fc_sizes")

  def locate(leaf: Leaf) -> Source:
    if leaf.modules == ("head",):
      return torch_source(leaf, ["classifier.1"])
    if leaf.unit != first_dense:
      return torch_source(leaf, [f"lenet.blocks.{leaf.unit}.0"])
    layout = flattened(side, side) if leaf.name == "kernel" else None
    return torch_source(leaf, [f"lenet.blocks.{leaf.unit}.1"], layout)

  image = side
  for _ in conv_widths:
    image = 2 * image + 4  # Undo a 2x2 pool and a 5x5 convolution.
  units = lenet(
    conv_widths, dense_widths, num_classes=config.num_classes, dtype=dtype
  )
  return Part(units, (image, image), config.integer("in_channels"), locate, {})


def _vgg(config: ForeignConfig, dtype) -> Part:
  def locate(leaf: Leaf) -> Source:
    (module,) = leaf.modules
    if module == "head":
      return torch_source(leaf, ["classifier.2"])
    kind, number = module[:4], int(module[4:])
    position = 3 * number + (kind == "norm")
    return torch_source(leaf, [f"vgg.blocks.{leaf.unit}.0.{position}"])

  units = vgg(
    config.integers("hidden_sizes"),
    config.integers("depths"),
    pool_window=config.integer("pool_kernel"),
    pool_stride=config.integer("pool_stride"),
    num_classes=config.num_classes,
    dtype=dtype,
  )
  return Part(units, None, config.integer("in_channels"), locate, {})


def _resnet(config: ForeignConfig, dtype) -> Part:
  stem = dict(
    kernel=config.integer("embedder_kernel_size"),
    stride=config.integer("embedder_kernel_stride"),
    pool=config.flag("embedder_use_pooler"),
  )
  units = resnet(**huggingface.resnet_options(config), stem=stem, dtype=dtype)
  locate = huggingface.locate_resnet(
    stem="resnet.embedder.embedder",
    stage=lambda i: f"resnet.blocks.{i}.0",
    head="classifier.2",
  )
  return Part(units, None, config.integer("num_channels", 3), locate, {})


def _vit(config: ForeignConfig, dtype) -> Part:
  per_unit = config.integer("layers_per_block")
  units = vit(
    **huggingface.vit_options(config),
    layers_per_unit=per_unit,
    final_norm=False,
    dtype=dtype,
  )
  locate = huggingface.locate_vit(
    embeddings="vit.embedder",
    layer=lambda unit, index: [f"vit.blocks.{unit}.{index}.module"],
    final_norm="",  # There is none.
    head="classifier",
  )
  norm = f"vit.blocks.{len(units) - 1}.{per_unit}.module"
  width = (config.integer("hidden_size"),)
  unused = {f"{norm}.weight": width, f"{norm}.bias": width}
  *image, channels = huggingface.vit_input_shape(config)
  return Part(units, tuple(image), channels, locate, unused)


FAMILIES = {
  "block_lenet5": _lenet,
  "block_vgg": _vgg,
  "block_resnet": _resnet,
  "block_vit": _vit,
}
