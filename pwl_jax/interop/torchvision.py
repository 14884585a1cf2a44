"""ResNet, ViT and VGG16-BN from a file with torchvision's or timm's names.

  network, variables = load_torchvision("resnet50.safetensors")

There is no config: the names and shapes of the tensors tell what the network
looks like, and what they do not tell is taken to be as the libraries publish
it: a 7x7 stem of stride 2 with a pool, or a 3x3 stem of stride 1 without; the
stride of a bottleneck in its 3x3; no dilation and no blur; relu in ResNet and
VGG, gelu in ViT; the answer from the mean, or from the class token; heads by
width. A network that was built otherwise can come with the same tensors, so
compare a few answers with the original's.

The input shape of a ResNet or VGG is a guess (224 pixels a side, 32 behind a
3x3 stem); any size will do.
"""

import functools
import itertools
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from pwl_jax.interop.layouts import flattened, window
from pwl_jax.interop.tensors import (
  Checkpoint,
  Leaf,
  Source,
  read_network,
  square_side,
  torch_source,
)
from pwl_jax.interop.torchvision_vit import TIMM, TORCHVISION, build_vit
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg


def load_torchvision(
  path: str | pathlib.Path,
  *,
  layers_per_unit: int | Sequence[int] = 1,
  heads: int | None = None,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[Network, dict[str, Any]]:
  """Reads one `.safetensors` file.

  Args:
    path: of the file.
    layers_per_unit: of a ViT, one number or one per unit. The units of the
      others are what lies between two changes of resolution.
    heads: of a ViT's attention, where its width is not a published one.
    dtype: to compute in; parameters are float32.
  """
  checkpoint = Checkpoint(pathlib.Path(path))
  build = next((b for mark, b in FAMILIES.items() if mark in checkpoint), None)
  if build is None:
    raise ValueError(
      f"{path} holds none of the tensors that tell its kind: "
      f"{', '.join(FAMILIES)}; found {checkpoint.names()[:5]} ... Save the "
      "state dict of a torchvision or timm ResNet, ViT or VGG-BN as it is"
    )
  if build in (_resnet, _vgg) and (layers_per_unit != 1 or heads is not None):
    raise ValueError(
      f"{path} holds no ViT, and layers_per_unit and heads are for ViTs; leave "
      "them out"
    )
  options = dict(layers_per_unit=layers_per_unit, heads=heads, dtype=dtype)
  network, locate = build(checkpoint, options)
  variables = read_network(checkpoint, network, locate)
  checkpoint.finish()
  return network, variables


def _resnet(checkpoint: Checkpoint, options):
  depths = [
    checkpoint.count(rf"layer{i + 1}\.(\d+)\.")
    for i in range(checkpoint.count(r"layer(\d+)\.", first=1))
  ]
  bottleneck = "layer1.0.conv3.weight" in checkpoint
  last_conv = "conv3" if bottleneck else "conv2"
  first_blocks = [f"layer{i + 1}.0" for i in range(len(depths))]
  stem_width, channels, kernel, _ = checkpoint.shape("conv1.weight")
  small = kernel == 3
  units = resnet(
    widths=[
      checkpoint.shape(f"{b}.{last_conv}.weight")[0] for b in first_blocks
    ],
    inner_widths=[
      checkpoint.shape(f"{b}.conv1.weight")[0] for b in first_blocks
    ],
    depths=depths,
    block="bottleneck" if bottleneck else "basic",
    stem="cifar" if small else "imagenet",
    stem_width=stem_width,
    num_classes=checkpoint.shape("fc.weight")[0],
    dtype=options["dtype"],
  )

  def locate(leaf: Leaf) -> Source:
    match leaf.modules:
      case ("head",):
        module = "fc"
      case ("stem", "embed", part):
        module = {"conv": "conv1", "norm": "bn1"}[part]
      case (block, "shortcut", part):
        index = {"conv": 0, "norm": 1}[part]
        number = block.removeprefix("block")
        module = f"layer{leaf.unit + 1}.{number}.downsample.{index}"
      case (block, conv, part):
        number, conv = block.removeprefix("block"), conv.removeprefix("conv")
        name = {"conv": "conv", "norm": "bn"}[part] + str(int(conv) + 1)
        module = f"layer{leaf.unit + 1}.{number}.{name}"
    return torch_source(leaf, [module])

  side = 32 if small else 224
  return Network(units, (side, side, channels)), locate


def _vgg(checkpoint: Checkpoint, options):
  positions = _conv_positions(checkpoint)
  last_width = checkpoint.shape(f"features.{positions[-1][-1]}.weight")[0]
  dense_names = [
    name
    for name in ("classifier.0", "classifier.3", "pre_logits.fc1",
                 "pre_logits.fc2")
    if f"{name}.weight" in checkpoint
  ]  # fmt: skip
  head = "head.fc" if "head.fc.weight" in checkpoint else "classifier.6"
  dense_shapes = [checkpoint.shape(f"{name}.weight") for name in dense_names]
  side = _vgg_side(dense_shapes, last_width)
  units = vgg(
    widths=[checkpoint.shape(f"features.{p[0]}.weight")[0] for p in positions],
    depths=[len(p) for p in positions],
    pool_to=side,
    dense_widths=[shape[0] for shape in dense_shapes],
    num_classes=checkpoint.shape(f"{head}.weight")[0],
    dtype=options["dtype"],
  )

  def locate(leaf: Leaf) -> Source:
    (module,) = leaf.modules
    if module == "head":
      return torch_source(leaf, [head])
    kind, number = re.fullmatch(r"([a-z]+)(\d+)", module).groups()
    number = int(number)
    if kind != "dense":
      position = positions[leaf.unit][number] + (kind == "norm")
      return torch_source(leaf, [f"features.{position}"])
    layout = None
    if leaf.name == "kernel":  # The first sees an image, the second a pixel.
      sides = (side, side) if number == 0 else (1, 1)
      as_conv = len(dense_shapes[number]) == 4
      layout = window(*sides) if as_conv else flattened(*sides)
    return torch_source(leaf, [dense_names[number]], layout)

  channels = checkpoint.shape(f"features.{positions[0][0]}.weight")[1]
  return Network(units, (224, 224, channels)), locate


def _conv_positions(checkpoint: Checkpoint) -> list[list[int]]:
  """Where the convolutions of each unit stand in `features`.

  A convolution, its norm and its relu take three places, a pool the fourth.
  """
  found = (
    re.fullmatch(r"features\.(\d+)\.weight", n) for n in checkpoint.names()
  )
  positions = sorted(int(match[1]) for match in found if match)
  convs = [
    p for p in positions if len(checkpoint.shape(f"features.{p}.weight")) == 4
  ]
  units = [[convs[0]]]
  for before, position in itertools.pairwise(convs):
    if position - before not in (3, 4):
      raise ValueError(
        f"{checkpoint.path}: convolutions at features.{before} and "
        f"features.{position} are not those of a VGG with batch norm, where "
        "they are 3 apart, or 4 across a pool"
      )
    if position - before == 4:
      units.append([])
    units[-1].append(position)
  return units


def _vgg_side(dense_shapes, last_width: int) -> int:
  """Side of the image that the first dense layer sees; 1 without any."""
  if not dense_shapes:
    return 1
  _, *inputs = dense_shapes[0]
  return square_side(math.prod(inputs) // last_width, "the first dense layer")


FAMILIES = {  # A tensor that only this family has -> how to build it.
  "layer1.0.conv1.weight": _resnet,
  "features.0.weight": _vgg,
  "encoder.pos_embedding": functools.partial(build_vit, TORCHVISION),
  "pos_embed": functools.partial(build_vit, TIMM),
}
