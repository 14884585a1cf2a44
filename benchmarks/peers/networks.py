"""The networks of a preset in PyTorch, cut into its units.

An implementation of its own, in NCHW, which shares nothing with `pwl_jax` but
the options of its presets and the names of layers, so that weights can be
handed over by name. A unit is a module from one feature to the next, the last
one to logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from benchmarks.peers.convolutional import resnet, vgg
from benchmarks.peers.vit import vit

FAMILIES = {"vgg": vgg, "resnet": resnet, "vit": vit}


def build(
  family: str,
  image: Sequence[int],
  num_classes: int,
  options: Mapping[str, Any],
) -> nn.ModuleList:
  """Units of one network; `image` is height, width, channels."""
  if family not in FAMILIES:
    raise ValueError(
      f"the peer has no family {family!r}; choose a preset of one of "
      f"{', '.join(FAMILIES)}, or leave --torch out"
    )
  return nn.ModuleList(FAMILIES[family](image, num_classes, **options))
