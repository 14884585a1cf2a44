"""Layers one after the other, each with its name."""

import collections
from collections.abc import Mapping

from torch import nn


def chain(layers: Mapping[str, nn.Module]) -> nn.Sequential:
  return nn.Sequential(collections.OrderedDict(layers))
