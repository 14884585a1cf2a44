"""Vision Transformers in PyTorch, as units; features are [b, tokens, width]."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.chain import chain


class Attention(nn.Module):
  """Multi-head self-attention over [b, tokens, width]."""

  def __init__(self, width, heads):
    super().__init__()
    self.heads = heads
    for name in ("query", "key", "value", "out"):
      self.add_module(name, nn.Linear(width, width))

  def forward(self, x):
    def split(y):
      return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    y = F.scaled_dot_product_attention(
      split(self.query(x)), split(self.key(x)), split(self.value(x))
    )
    return self.out(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
  """Pre-norm attention and MLP, each with a residual connection."""

  def __init__(self, width, heads, mlp_width, epsilon):
    super().__init__()
    self.norm1 = nn.LayerNorm(width, epsilon)
    self.attention = Attention(width, heads)
    self.norm2 = nn.LayerNorm(width, epsilon)
    self.mlp_in = nn.Linear(width, mlp_width)
    self.mlp_out = nn.Linear(mlp_width, width)

  def forward(self, x):
    x = x + self.attention(self.norm1(x))
    return x + self.mlp_out(F.gelu(self.mlp_in(self.norm2(x))))


class PatchEmbed(nn.Module):
  """[b, c, h, w] -> [b, 1 + patches, width]."""

  def __init__(self, image, width, patch):
    super().__init__()
    height, wide, channels = image
    tokens = 1 + (height // patch) * (wide // patch)
    self.project = nn.Conv2d(channels, width, patch, patch)
    self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
    self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, width))

  def forward(self, x):
    x = self.project(x).flatten(2).transpose(1, 2)
    token = self.class_token.expand(len(x), -1, -1).to(x.dtype)
    return torch.cat([token, x], 1) + self.positions


class ViTUnit(nn.Module):
  """Layers; the first unit embeds before them, the last has the head."""

  def __init__(self, layers: Sequence[Layer], embed=None, norm=None, head=None):
    super().__init__()
    self.embed, self.norm, self.head = embed, norm, head
    self.body = chain({f"layer{i}": layer for i, layer in enumerate(layers)})

  def forward(self, x):
    if self.embed is not None:
      x = self.embed(x)
    x = self.body(x)
    if self.head is None:
      return x
    token = x[:, 0]
    return self.head(token if self.norm is None else self.norm(token))


def vit(
  image, num_classes, *, width, heads, mlp_width, num_layers, layers_per_unit,
  patch=16, final_norm=True, norm_epsilon=1e-12,
):  # fmt: skip
  units, last = [], num_layers // layers_per_unit - 1
  for i in range(last + 1):
    layers = [
      Layer(width, heads, mlp_width, norm_epsilon)
      for _ in range(layers_per_unit)
    ]
    ends = {}
    if i == 0:
      ends["embed"] = PatchEmbed(image, width, patch)
    if i == last:
      ends["head"] = nn.Linear(width, num_classes)
      if final_norm:
        ends["norm"] = nn.LayerNorm(width, norm_epsilon)
    units.append(ViTUnit(layers, **ends))
  return units
