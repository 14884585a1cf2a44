"""Weights saved by other ecosystems, as networks of units; without torch.

  load_reference    a directory of the PWL authors' PyTorch code
  load_huggingface  a ResNet or ViT classifier saved by transformers
  load_torchvision  a file with torchvision's or timm's names

Each reads a file whole or not at all: a tensor that is missing, left over or
of another shape is a `ValueError` that names it.
"""

from pwl_jax.interop.huggingface import load_huggingface
from pwl_jax.interop.reference import load_reference
from pwl_jax.interop.torchvision import load_torchvision

__all__ = ["load_huggingface", "load_reference", "load_torchvision"]
