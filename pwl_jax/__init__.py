"""Progressive weight loading in JAX: answer at once, get better while loading.

A small student answers first; a large teacher replaces it unit by unit.

  pwl_jax.method      the mathematics, as pure functions of arrays
  pwl_jax.models      network families, cut into units, with named presets
  pwl_jax.interop     weights saved by other ecosystems
  pwl_jax.data        data sets, and how they reach the device
  pwl_jax.training    steps, loops, checkpoints
  pwl_jax.evaluation  every composition, calibration, ladders
  pwl_jax.bundle      what is served, on disk
  pwl_jax.runtime     serves it: `pwl_jax.open("runs/digits/bundle")`
  pwl_jax.play        shows a bundle being served while it loads
  pwl_jax.report      pages and tables of what was measured
  pwl_jax.main        the command that runs the whole pipeline

This file imports nothing, so that serving never pays for training's needs.
"""

__version__ = "0.1.0"


def open(directory, **options):
  """Serves a bundle; see `pwl_jax.runtime.open_model` for the options."""
  from pwl_jax.runtime import open_model

  return open_model(directory, **options)
