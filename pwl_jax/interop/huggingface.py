"""ResNet and ViT classifiers as `transformers` saves them.

  network, variables = load_huggingface("models/vit", layers_per_unit=2)
  logits = network.logits(variables, images)  # [b, h, w, c], normalised

A ResNet is cut into its stages, a ViT into units of `layers_per_unit` layers.
Both the older names of a ViT's tensors (`encoder.layer.0.attention.attention.
query`) and the newer (`layers.0.attention.q_proj`) are read. Dropout is not
part of the network.
"""

import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.layouts import SAME
from pwl_jax.interop.tensors import (
  Checkpoint,
  Leaf,
  Source,
  read_network,
  torch_source,
)
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vit import vit


def load_huggingface(
  directory: str | pathlib.Path,
  *,
  layers_per_unit: int | Sequence[int] = 1,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[Network, dict[str, Any]]:
  """Reads `config.json` and `model.safetensors` of a directory.

  Args:
    directory: as `save_pretrained` writes it.
    layers_per_unit: of a ViT, one number or one per unit.
    dtype: to compute in; parameters are float32.
  """
  directory = pathlib.Path(directory)
  config = ForeignConfig(directory / "config.json")
  load = config.choose("model_type", {"resnet": _load_resnet, "vit": _load_vit})
  return load(directory, config, layers_per_unit, dtype)


def _load_resnet(directory, config, layers_per_unit, dtype):
  del layers_per_unit  # A ResNet's units are its stages.
  units = resnet(**resnet_options(config), stem="imagenet", dtype=dtype)
  network = Network(units, (224, 224, config.get("num_channels", 3)))
  locate = locate_resnet(
    stem="resnet.embedder.embedder",
    stage=lambda i: f"resnet.encoder.stages.{i}",
    head="classifier.1",
  )
  return network, _read(directory, network, locate)


def _load_vit(directory, config, layers_per_unit, dtype):
  network = Network(
    vit(**vit_options(config), layers_per_unit=layers_per_unit, dtype=dtype),
    vit_input_shape(config),
  )
  depths = (unit.depth for unit in network.units)
  starts = list(itertools.accumulate(depths, initial=0))

  def layer(unit, index):
    number = starts[unit] + index
    return [f"vit.encoder.layer.{number}", f"vit.layers.{number}"]

  locate = locate_vit(
    embeddings="vit.embeddings",
    layer=layer,
    final_norm="vit.layernorm",
    head="classifier",
  )
  return network, _read(directory, network, locate)


def _read(directory, network, locate):
  checkpoint = Checkpoint(directory / "model.safetensors")
  variables = read_network(checkpoint, network, locate)
  checkpoint.finish()
  return variables


def resnet_options(config: ForeignConfig) -> dict[str, Any]:
  """Everything but the stem's shape, which configs write in two ways."""
  return dict(
    widths=config["hidden_sizes"],
    depths=config["depths"],
    block=config.get("layer_type", "bottleneck"),
    stem_width=config.get("embedding_size", 64),
    first_stride=2 if config.get("downsample_in_first_stage", False) else 1,
    stride_in_first_conv=config.get("downsample_in_bottleneck", False),
    activation=config.get("hidden_act", "relu"),
    num_classes=config.num_classes,
  )


def vit_options(config: ForeignConfig) -> dict[str, Any]:
  """Everything but how the layers are cut into units."""
  patch = config.get("patch_size", 16)
  return dict(
    width=config["hidden_size"],
    heads=config["num_attention_heads"],
    mlp_width=config["intermediate_size"],
    num_layers=config["num_hidden_layers"],
    patch=patch if isinstance(patch, int) else tuple(patch),
    qkv_bias=config.get("qkv_bias", True),
    activation=config.get("hidden_act", "gelu"),
    norm_epsilon=config.get("layer_norm_eps", 1e-12),
    num_classes=config.num_classes,
  )


def vit_input_shape(config: ForeignConfig) -> tuple[int, int, int]:
  side = config.get("image_size", 224)
  height, width = (side, side) if isinstance(side, int) else side
  return height, width, config.get("num_channels", 3)


def locate_resnet(
  *, stem: str, stage: Callable[[int], str], head: str
) -> Callable[[Leaf], Source]:
  """Names inside a ResNet, given how its larger parts are called."""
  parts = {"conv": "convolution", "norm": "normalization"}

  def locate(leaf: Leaf) -> Source:
    match leaf.modules:
      case ("head",):
        module = head
      case ("stem", "embed", part):
        module = f"{stem}.{parts[part]}"
      case (block, "shortcut", part):
        number = block.removeprefix("block")
        module = f"{stage(leaf.unit)}.layers.{number}.shortcut.{parts[part]}"
      case (block, conv, part):
        number, conv = block.removeprefix("block"), conv.removeprefix("conv")
        module = (
          f"{stage(leaf.unit)}.layers.{number}.layer.{conv}.{parts[part]}"
        )
    return torch_source(leaf, [module])

  return locate


# Our module inside a layer -> its spellings, older first.
VIT_LAYER_NAMES = {
  ("attention", "query"): ["attention.attention.query", "attention.q_proj"],
  ("attention", "key"): ["attention.attention.key", "attention.k_proj"],
  ("attention", "value"): ["attention.attention.value", "attention.v_proj"],
  ("attention", "out"): ["attention.output.dense", "attention.o_proj"],
  ("norm1",): ["layernorm_before"],
  ("norm2",): ["layernorm_after"],
  ("mlp_in",): ["intermediate.dense", "mlp.fc1"],
  ("mlp_out",): ["output.dense", "mlp.fc2"],
}


def locate_vit(
  *,
  embeddings: str,
  layer: Callable[[int, int], Sequence[str]],
  final_norm: str,
  head: str,
) -> Callable[[Leaf], Source]:
  """Names inside a ViT, given how its larger parts are called."""
  tokens = {"class_token": "cls_token", "positions": "position_embeddings"}

  def locate(leaf: Leaf) -> Source:
    match leaf.modules:
      case ("head",):
        modules = [head]
      case ("norm",):
        modules = [final_norm]
      case ("embed",):
        return Source([f"{embeddings}.{tokens[leaf.name]}"], SAME)
      case ("embed", "project"):
        modules = [f"{embeddings}.patch_embeddings.projection"]
      case (name, *inner):
        number = int(name.removeprefix("layer"))
        modules = [
          f"{outer}.{spelling}"
          for outer in layer(leaf.unit, number)
          for spelling in VIT_LAYER_NAMES[tuple(inner)]
        ]
    return torch_source(leaf, modules)

  return locate
