"""Orthogonal converters as the affine maps that they are.

Training keeps a weight and takes its orthonormal factor in every pass. Who
serves needs the factor alone, and no QR in its programs.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pwl_jax.method.converters import (
  LinearConverter,
  OrthogonalConverter,
  orthonormal,
)
from pwl_jax.method.swapnet import SwapNet, boundary_name


def with_affine_converters(
  swapnet: SwapNet, converters: Mapping[str, Any]
) -> tuple[SwapNet, dict[str, Any], frozenset[int]]:
  """The same maps, all of them linear; and at which boundaries they changed.

  Those have to be computed in full precision, as the orthogonal ones are.
  """
  modules, variables, changed = list(swapnet.converters), dict(converters), []
  for i, module in enumerate(modules):
    if isinstance(module, OrthogonalConverter):
      modules[i] = LinearConverter(module.teacher_width, module.student_width)
      own = variables[boundary_name(i)]["params"]
      variables[boundary_name(i)] = {"params": _maps(own)}
      changed.append(i)
  served = dataclasses.replace(swapnet, converters=tuple(modules))
  return served, variables, frozenset(changed)


def _maps(params: Mapping[str, Any]) -> dict[str, Any]:
  """(t - a) q + b = t q + (b - a q), and its way back."""
  rotation = np.asarray(jax.jit(orthonormal)(params["weight"]), np.float64)
  teacher, student = (
    np.asarray(params[f"{role}_center"], np.float64)
    for role in ("teacher", "student")
  )
  return {
    "encoder": _affine(rotation, student - teacher @ rotation),
    "decoder": _affine(rotation.T, teacher - student @ rotation.T),
  }


def _affine(kernel: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
  parts = {"kernel": kernel, "bias": bias}
  return {
    name: np.ascontiguousarray(part, np.float32) for name, part in parts.items()
  }
