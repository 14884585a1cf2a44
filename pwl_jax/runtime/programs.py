"""One program of a bundle, compiled once for each batch size it is asked for.

Its first argument, the leaves of a piece, is passed as their arrays in the
order of their names; the second is a batch of features: an array, or a tuple of
values and a mask.
"""

import threading
from collections.abc import Callable, Sequence

import jax
import numpy as np

from pwl_jax.runtime.errors import LoadFailed, in_a_line
from pwl_jax.runtime.executables import Cache, Ready

Feature = jax.Array | tuple[jax.Array, jax.Array]
Shape = tuple[tuple[int, ...], ...]


class Program:
  """`read` gives the exported program; it is not asked before it is needed."""

  def __init__(
    self,
    read: Callable[[], "jax.export.Exported"],
    digest: str,
    *,
    what: str,
    device: jax.Device,
    cache: Cache,
  ):
    self._read, self._digest, self._what = read, digest, what
    self._device, self._cache = device, cache
    self._ready: dict[Shape, Ready] = {}
    self._locks: dict[Shape, threading.Lock] = {}

  def __call__(
    self, names: Sequence[str], leaves: Sequence[jax.Array], x: Feature
  ) -> Feature:
    ready = self._ready.get(_shape(x))
    if ready is None:
      ready = self._prepare(names, leaves, x)
    return ready.run([*leaves, *_parts(x)])

  def warm(
    self,
    names: Sequence[str],
    leaves: Sequence[jax.Array],
    x: Feature,
  ) -> Feature:
    """Compiled for such features; what it makes of them. Both are abstract."""
    ready = self._ready.get(_shape(x))
    if ready is None:
      zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), x)
      zeros = jax.device_put(zeros, self._device)
      ready = self._prepare(names, leaves, zeros)
    return ready.output

  def _exported(self) -> "jax.export.Exported":
    try:
      return self._read()
    except (ValueError, ImportError) as error:
      raise LoadFailed(str(error)) from error

  def _prepare(self, names, leaves, x) -> Ready:
    # Of two that ask for the same, one compiles; others do not wait for it.
    with self._locks.setdefault(_shape(x), threading.Lock()):
      if _shape(x) not in self._ready:
        arguments = [*leaves, *_parts(x)]

        def compile() -> jax.stages.Compiled:
          call = self._exported().call
          flat = jax.jit(
            lambda *args: call(
              dict(zip(names, args, strict=False)), _whole(args[len(names) :])
            ),
            keep_unused=True,
          )
          try:
            return flat.lower(*arguments).compile()
          except jax.errors.JaxRuntimeError as error:
            raise LoadFailed(
              f"{self._what} cannot be compiled by jax {jax.__version__}: "
              f"{in_a_line(error)}; use a jax at least as new, or "
              "export the bundle again"
            ) from error

        self._ready[_shape(x)] = self._cache.get(
          self._digest, arguments, self._device, compile
        )
      return self._ready[_shape(x)]


def _parts(x: Feature) -> tuple[jax.Array, ...]:
  return x if isinstance(x, tuple) else (x,)


def _whole(parts: Sequence[jax.Array]) -> Feature:
  return tuple(parts) if len(parts) > 1 else parts[0]


def _shape(x: Feature) -> Shape:
  return tuple(part.shape for part in _parts(x))
