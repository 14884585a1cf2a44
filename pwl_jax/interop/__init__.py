"""Weights saved by other ecosystems, as networks of units; without torch.

  load_network      any of these by its path, as a teacher
  load_reference    a directory of the PWL authors' PyTorch code
  load_huggingface  a classifier of images or texts saved by transformers
  load_torchvision  a file with torchvision's or timm's names
  with_classes      a new head, where the classes are others
  head_mask         which parameters are the head's

Each reads a file whole or not at all: a tensor that is missing, left over or
of another shape is a `ValueError` that names it.
"""

from pwl_jax.interop.heads import head_mask, with_classes
from pwl_jax.interop.huggingface import load_huggingface
from pwl_jax.interop.loading import Found, load_network, recognise
from pwl_jax.interop.reference import load_reference
from pwl_jax.interop.torchvision import load_torchvision

__all__ = [
  "Found",
  "head_mask",
  "load_huggingface",
  "load_network",
  "load_reference",
  "load_torchvision",
  "recognise",
  "with_classes",
]
