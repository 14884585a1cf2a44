"""Classifiers as `transformers` saves them: ResNet, ViT, BERT, DistilBERT.

  network, variables = load_huggingface("models/vit", layers_per_unit=2)
  logits = network.logits(variables, images)  # [b, h, w, c], normalised

A ResNet is cut into its stages, the others into units of `layers_per_unit`
layers. BERT and DistilBERT (`language`) take token ids, int32[b, t]. Both the
older names of a ViT's tensors (`encoder.layer.0.attention.attention.
query`) and the newer (`layers.0.attention.q_proj`) are read. Dropout is not
part of the network.
"""

import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.language import DIALECTS, build_text
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
from pwl_jax.models.activations import ACTIVATIONS
from pwl_jax.models.resnet import BLOCKS, resnet
from pwl_jax.models.vit import vit

MODEL_TYPES = ("resnet", "vit", *DIALECTS)


def load_huggingface(
  directory: str | pathlib.Path,
  *,
  layers_per_unit: int | Sequence[int] = 1,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[Network, dict[str, Any]]:
  """Reads `config.json` and `model.safetensors` of a directory.

  Args:
    directory: as `save_pretrained` writes it.
    layers_per_unit: of all but a ResNet, one number or one per unit.
    dtype: to compute in; parameters are float32.
  """
  directory = pathlib.Path(directory)
  config = ForeignConfig(directory / "config.json")
  model_type = config.choose("model_type", MODEL_TYPES)
  if model_type != "resnet":
    load = _load_vit if model_type == "vit" else _load_text
    with config.blamed():
      return load(directory, config, layers_per_unit, dtype)
  if layers_per_unit != 1:
    raise ValueError(
      f"{directory} holds a ResNet, whose units are its stages; "
      f"layers_per_unit={layers_per_unit!r} is for Transformers, leave it out"
    )
  with config.blamed():
    return _load_resnet(directory, config, dtype)


def _load_resnet(directory, config, dtype):
  units = resnet(**resnet_options(config), stem="imagenet", dtype=dtype)
  network = Network(units, (224, 224, config.integer("num_channels", 3)))
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


def _load_text(directory, config, layers_per_unit, dtype):
  network, locate, unused = build_text(
    config, layers_per_unit=layers_per_unit, dtype=dtype
  )
  return network, _read(directory, network, locate, unused)


def _read(directory, network, locate, unused=()):
  checkpoint = Checkpoint(directory / "model.safetensors")
  for name in unused:
    checkpoint.allow(name)
  variables = read_network(checkpoint, network, locate)
  checkpoint.finish()
  return variables


def resnet_options(config: ForeignConfig) -> dict[str, Any]:
  """Everything but the stem's shape, which configs write in two ways."""
  return dict(
    widths=config.integers("hidden_sizes"),
    depths=config.integers("depths"),
    block=config.choose("layer_type", BLOCKS, "bottleneck"),
    stem_width=config.integer("embedding_size", 64),
    first_stride=2 if config.flag("downsample_in_first_stage", False) else 1,
    stride_in_first_conv=config.flag("downsample_in_bottleneck", False),
    activation=config.choose("hidden_act", ACTIVATIONS, "relu"),
    num_classes=config.num_classes,
  )


def vit_options(config: ForeignConfig) -> dict[str, Any]:
  """Everything but how the layers are cut into units."""
  return dict(
    width=config.integer("hidden_size"),
    heads=config.integer("num_attention_heads"),
    mlp_width=config.integer("intermediate_size"),
    num_layers=config.integer("num_hidden_layers"),
    patch=config.side("patch_size", 16),
    qkv_bias=config.flag("qkv_bias", True),
    activation=config.choose("hidden_act", ACTIVATIONS, "gelu"),
    norm_epsilon=config.number("layer_norm_eps", 1e-12),
    num_classes=config.num_classes,
  )


def vit_input_shape(config: ForeignConfig) -> tuple[int, int, int]:
  height, width = config.side("image_size", 224)
  return height, width, config.integer("num_channels", 3)


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
