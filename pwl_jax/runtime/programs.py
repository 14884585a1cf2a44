"""One program of a bundle, compiled once for each batch size it is asked for.

Its first argument, the leaves of a piece, is passed as their arrays in the
order of their names; the second is a batch of features.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

import jax

from pwl_jax.runtime.executables import Cache, Executable

Leaves = Mapping[str, jax.Array]


class Program:
  """`read` gives the exported program; it is not asked before it is needed."""

  def __init__(
    self,
    read: Callable[[], "jax.export.Exported"],
    digest: str,
    *,
    device: jax.Device,
    cache: Cache,
  ):
    self._read, self._digest = read, digest
    self._device, self._cache = device, cache
    self._compiled: dict[tuple[int, ...], Executable] = {}
    self._lock = threading.Lock()

  def __call__(
    self, names: Sequence[str], leaves: Sequence[jax.Array], x: jax.Array
  ) -> jax.Array:
    run = self._compiled.get(x.shape)
    if run is None:
      run = self._compile(names, leaves, x)
    return run([*leaves, x])

  def _compile(self, names, leaves, x) -> Executable:
    with self._lock:  # Of two that ask, one compiles.
      if x.shape not in self._compiled:

        def compile() -> jax.stages.Compiled:
          call = self._read().call
          flat = jax.jit(
            lambda *args: call(
              dict(zip(names, args[:-1], strict=True)), args[-1]
            ),
            keep_unused=True,
          )
          return flat.lower(*leaves, x).compile()

        self._compiled[x.shape] = self._cache.get(
          self._digest, [*leaves, x], self._device, compile
        )
      return self._compiled[x.shape]
