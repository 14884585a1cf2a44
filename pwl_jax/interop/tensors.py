"""Strict reading of safetensors files into the variables of a network.

A loader states for every leaf of a network where it comes from: the names it
may have elsewhere and its layout there. `Checkpoint` takes the tensors one by
one, notes everything that does not fit, and `finish` raises for all of it at
once, so that no variables ever come out of a file that does not match.
"""

import itertools
import math
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from flax import traverse_util

from pwl_jax.interop.layouts import CONV, DENSE, SAME, Layout, Shape
from pwl_jax.method.network import Network, unit_name

MAX_LISTED = 10  # Of either kind of problem.
FLOATS = ("F64", "F32", "F16", "BF16")


class Source(NamedTuple):
  """Where a leaf comes from: its spellings, of which a file has one."""

  names: Sequence[str]
  layout: Layout


class Checkpoint:
  """A safetensors file that is read tensor by tensor, and wholly."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._problems: list[str] = []
    if not path.exists():
      beside = sorted(p.name for p in path.parent.glob("*"))
      raise FileNotFoundError(
        f"{path} is missing, beside it are {beside}; weights are read from "
        "one safetensors file, so save them again in that form, unsharded"
      )
    try:
      self._file = safetensors.safe_open(str(path), framework="numpy")
      slices = {
        name: self._file.get_slice(name)
        for name in self._file.keys()  # noqa: SIM118 (not a dict)
      }
      self._shapes = {n: tuple(s.get_shape()) for n, s in slices.items()}
      self._dtypes = {n: s.get_dtype() for n, s in slices.items()}
    except (OSError, safetensors.SafetensorError) as error:
      raise ValueError(
        f"cannot read {path} as a safetensors file ({error}); check that it "
        "was copied whole, and is no pointer left by a large-file store. Other "
        "formats, such as .pth, are converted with safetensors.torch.save_file"
      ) from error
    self._unread = set(self._shapes)

  def __contains__(self, name: str) -> bool:
    return name in self._shapes

  def names(self) -> list[str]:
    return list(self._shapes)

  def count(self, pattern: str, *, first: int = 0) -> int:
    """How many consecutive numbers, from `first`, the pattern captures."""
    matches = (re.match(pattern, name) for name in self._shapes)
    numbers = {int(match[1]) for match in matches if match}
    return next(n for n in itertools.count() if n + first not in numbers)

  def shape(self, name: str) -> Shape:
    """The shape of a tensor that decides what the network looks like."""
    if name not in self._shapes:
      raise ValueError(
        f"{self.path}: tensor {name!r} is missing. Only the plain form of a "
        "network is read, with its classification head, under the names its "
        "library gives it"
      )
    return self._shapes[name]

  def read(self, source: Source, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """The tensor for one leaf; zeros, and a noted problem, if there is none."""
    expected = tuple(source.layout.file_shape(leaf.shape))
    name = self._find(source.names, expected)
    if name is None:
      return jnp.zeros(leaf.shape, leaf.dtype)
    array = self._file.get_tensor(name)
    if not np.isfinite(array.astype(np.float32)).all():
      self._problems.append(f"{name}: expected finite numbers, found others")
    return jnp.asarray(source.layout.read(array), leaf.dtype)

  def skip(self, names: Sequence[str], shape: Shape):
    """A tensor that must be there, but that the network does not use."""
    self._find(names, shape)

  def allow(self, name: str):
    """A tensor that may be there, and that the network does not use."""
    self._unread.discard(name)

  def finish(self):
    """Raises unless every tensor was found, fitted and read."""
    extra = [
      f"{name}: not expected, found {list(self._shapes[name])}"
      for name in sorted(self._unread)
    ]
    if self._problems or extra:
      raise ValueError(
        f"{self.path} does not fit the network it is read for; nothing was "
        "loaded. Check that the configuration and the weights belong "
        "together:\n  " + "\n  ".join([*_some(self._problems), *_some(extra)])
      )

  def _find(self, names: Sequence[str], expected: Shape) -> str | None:
    name = next((n for n in names if n in self._shapes), None)
    if name is None:
      also = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
      self._problems.append(
        f"{names[0]}{also}: expected {list(expected)}, found no such tensor"
      )
      return None
    self._unread.discard(name)
    if self._shapes[name] != expected:
      self._problems.append(
        f"{name}: expected {list(expected)}, found {list(self._shapes[name])}"
      )
      return None
    if self._dtypes[name] not in FLOATS:
      self._problems.append(
        f"{name}: expected numbers in one of {', '.join(FLOATS)}, found "
        f"{self._dtypes[name]}"
      )
      return None
    return name


def _some(problems: Sequence[str]) -> list[str]:
  """The first of them, and how many there are beside."""
  more = len(problems) - MAX_LISTED
  return [
    *problems[:MAX_LISTED],
    *([f"... and {more} more"] if more > 0 else []),
  ]


class Leaf(NamedTuple):
  """A leaf of a network by its place, which a loader gives a source."""

  unit: int
  modules: tuple[str, ...]  # such as ("block0", "conv1", "norm")
  name: str  # such as "kernel"
  shape: Shape


def read_network(
  checkpoint: Checkpoint,
  network: Network,
  locate: Callable[[Leaf], Source],
) -> dict[str, Any]:
  """The variables of a network, every leaf from where `locate` says."""
  variables = network.abstract_variables()
  found = {}
  for i in range(network.num_units):
    flat = traverse_util.flatten_dict(variables[unit_name(i)])
    for path, leaf in flat.items():
      _, *modules, name = path
      source = locate(Leaf(i, tuple(modules), name, leaf.shape))
      found[(unit_name(i), *path)] = checkpoint.read(source, leaf)
      if name == "mean":  # A batch norm also counts its batches.
        for mean in source.names:
          counter = mean.removesuffix("running_mean") + "num_batches_tracked"
          checkpoint.allow(counter)
  return traverse_util.unflatten_dict(found)


TORCH_NAMES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}


def torch_source(
  leaf: Leaf, modules: Sequence[str], layout: Layout | None = None
) -> Source:
  """A leaf of a torch module, which may go by several names."""
  if layout is None:
    by_rank = {2: DENSE, 4: CONV} if leaf.name == "kernel" else {}
    layout = by_rank.get(len(leaf.shape), SAME)
  return Source(
    [f"{module}.{TORCH_NAMES[leaf.name]}" for module in modules], layout
  )


def square_side(pixels: int, what: str) -> int:
  """The side of a square image of so many pixels."""
  side = math.isqrt(pixels)
  if side * side != pixels:
    raise ValueError(
      f"{what} implies {pixels} positions of an image, which is no square; "
      "only square images, without tokens beside the class token, can be told "
      "from it"
    )
  return side
