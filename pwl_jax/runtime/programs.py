"""One program of a bundle, compiled once for each batch size it is asked for.

Its first argument, the leaves of a piece, is passed as their arrays in the
order of their names; the second is a batch of features.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from pwl_jax.runtime.errors import LoadFailed, in_a_line
from pwl_jax.runtime.executables import Cache, Ready


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
    self._ready: dict[tuple[int, ...], Ready] = {}
    self._locks: dict[Any, threading.Lock] = {}

  def __call__(
    self, names: Sequence[str], leaves: Sequence[jax.Array], x: jax.Array
  ) -> jax.Array:
    ready = self._ready.get(x.shape)
    if ready is None:
      ready = self._prepare(names, leaves, x)
    return ready.run([*leaves, x])

  def warm(
    self,
    names: Sequence[str],
    leaves: Sequence[jax.Array],
    x: jax.ShapeDtypeStruct,
  ) -> jax.ShapeDtypeStruct:
    """Compiled for such features; what it makes of them."""
    ready = self._ready.get(x.shape)
    if ready is None:
      zeros = jax.device_put(np.zeros(x.shape, x.dtype), self._device)
      ready = self._prepare(names, leaves, zeros)
    return ready.output

  def _exported(self) -> "jax.export.Exported":
    try:
      return self._read()
    except (ValueError, ImportError) as error:
      raise LoadFailed(str(error)) from error

  def _prepare(self, names, leaves, x) -> Ready:
    # Of two that ask for the same, one compiles; others do not wait for it.
    with self._locks.setdefault(x.shape, threading.Lock()):
      if x.shape not in self._ready:
        arguments = [*leaves, x]

        def compile() -> jax.stages.Compiled:
          call = self._exported().call
          flat = jax.jit(
            lambda *args: call(
              dict(zip(names, args[:-1], strict=True)), args[-1]
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

        self._ready[x.shape] = self._cache.get(
          self._digest, arguments, self._device, compile
        )
      return self._ready[x.shape]
