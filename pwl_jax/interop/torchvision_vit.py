"""ViTs with torchvision's or timm's names: two dialects of one network.

Both store query, key and value as one fused tensor.
"""

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

from pwl_jax.interop.layouts import SAME, third
from pwl_jax.interop.tensors import (
  TORCH_NAMES,
  Checkpoint,
  Leaf,
  Source,
  square_side,
  torch_source,
)
from pwl_jax.method.network import Network
from pwl_jax.models.vit import vit

# Of the sizes that both libraries publish with this many.
HEADS_BY_WIDTH = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}


class Dialect(NamedTuple):
  """How one library calls the parts of a ViT."""

  token: str
  positions: str
  project: str
  layer: str  # with the number of a layer for {}
  fused: str  # query, key and value; with "weight" or "bias" for {}
  inner: dict[tuple[str, ...], list[str]]
  norm: str
  head: str


TORCHVISION = Dialect(
  token="class_token",
  positions="encoder.pos_embedding",
  project="conv_proj",
  layer="encoder.layers.encoder_layer_{}",
  fused="self_attention.in_proj_{}",
  inner={
    ("attention", "out"): ["self_attention.out_proj"],
    ("norm1",): ["ln_1"],
    ("norm2",): ["ln_2"],
    ("mlp_in",): ["mlp.linear_1", "mlp.0"],
    ("mlp_out",): ["mlp.linear_2", "mlp.3"],
  },
  norm="encoder.ln",
  head="heads.head",
)
TIMM = Dialect(
  token="cls_token",
  positions="pos_embed",
  project="patch_embed.proj",
  layer="blocks.{}",
  fused="attn.qkv.{}",
  inner={
    ("attention", "out"): ["attn.proj"],
    ("norm1",): ["norm1"],
    ("norm2",): ["norm2"],
    ("mlp_in",): ["mlp.fc1"],
    ("mlp_out",): ["mlp.fc2"],
  },
  norm="norm",
  head="head",
)


def build_vit(dialect: Dialect, checkpoint: Checkpoint, options):
  width, channels, *patch = checkpoint.shape(f"{dialect.project}.weight")
  tokens = checkpoint.shape(dialect.positions)[1]
  side = square_side(tokens - 1, f"{checkpoint.path}: {dialect.positions}")
  pattern = re.escape(dialect.layer).replace(r"\{\}", r"(\d+)") + r"\."
  first_layer = dialect.layer.format(0)
  mlp_names = [f"{first_layer}.{n}.weight" for n in dialect.inner["mlp_in",]]
  mlp_name = next((n for n in mlp_names if n in checkpoint), mlp_names[0])
  units = vit(
    width=width,
    heads=_heads(options["heads"], width),
    mlp_width=checkpoint.shape(mlp_name)[0],
    num_layers=checkpoint.count(pattern),
    layers_per_unit=options["layers_per_unit"],
    patch=tuple(patch),
    qkv_bias=f"{first_layer}.{dialect.fused.format('bias')}" in checkpoint,
    norm_epsilon=1e-6,
    num_classes=checkpoint.shape(f"{dialect.head}.weight")[0],
    dtype=options["dtype"],
  )
  network = Network(units, (side * patch[0], side * patch[1], channels))
  return network, _locate_vit(dialect, units)


def _locate_vit(dialect: Dialect, units) -> Callable[[Leaf], Source]:
  starts = list(itertools.accumulate((u.depth for u in units), initial=0))
  qkv = ("query", "key", "value")

  def locate(leaf: Leaf) -> Source:
    match leaf.modules:
      case ("head",):
        modules = [dialect.head]
      case ("norm",):
        modules = [dialect.norm]
      case ("embed",):
        names = {"class_token": dialect.token, "positions": dialect.positions}
        return Source([names[leaf.name]], SAME)
      case ("embed", "project"):
        modules = [dialect.project]
      case (name, *inner):
        number = starts[leaf.unit] + int(name.removeprefix("layer"))
        layer = dialect.layer.format(number)
        if inner[-1] in qkv:
          name = dialect.fused.format(TORCH_NAMES[leaf.name])
          return Source([f"{layer}.{name}"], third(qkv.index(inner[-1])))
        modules = [f"{layer}.{n}" for n in dialect.inner[tuple(inner)]]
    return torch_source(leaf, modules)

  return locate


def _heads(given: int | None, width: int) -> int:
  heads = HEADS_BY_WIDTH.get(width) if given is None else given
  if heads is None:
    raise ValueError(
      "the number of attention heads is not in the file, and none is usual "
      f"for a width of {width}; pass heads=..."
    )
  return heads
