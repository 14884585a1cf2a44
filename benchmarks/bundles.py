"""Bundles with random weights, for benchmarks of reading and serving."""

import argparse
import pathlib

import jax
import numpy as np

from benchmarks.noise import input_of
from pwl_jax import models
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import STORES, Composition
from pwl_jax.bundle.write import write_bundle
from pwl_jax.evaluation.improvements import NOTHING
from pwl_jax.method import composition as compositions
from pwl_jax.method.swapnet import SwapNet


def add_arguments(parser: argparse.ArgumentParser):
  parser.add_argument("--preset", default="vit_small_tiny")
  parser.add_argument("--store", default="orbax", choices=STORES)
  parser.add_argument(
    "--dir", type=pathlib.Path, help="keeps the bundle, and uses it again"
  )


def make_bundle(preset: str, directory: pathlib.Path, *, store: str):
  """Writes one whose measured accuracies rise with every teacher unit."""
  if (directory / "manifest.json").exists():
    there = manifests.read(directory)
    found = there.config.get("model.preset"), there.store
    if found != (preset, store):
      raise ValueError(
        f"the bundle at {directory} is of {found[0]} in {found[1]}; name these "
        "by --preset and --store, or another --dir"
      )
    return
  swapnet = SwapNet.create(*models.create_pair(preset))
  rng, n = np.random.default_rng(0), swapnet.num_units

  def draw(leaf):
    """Vectors (biases, scales, variances) around 1, kernels around 0."""
    center, noise = leaf.ndim == 1, rng.normal(size=leaf.shape)
    return (center + 0.02 * np.tanh(noise)).astype(leaf.dtype)

  variables = jax.tree.map(draw, swapnet.abstract_variables())
  write_bundle(
    directory,
    swapnet=swapnet,
    variables=variables,
    improvements=NOTHING,
    input=input_of(preset),
    class_names=(),
    compositions={
      word: Composition(0, word.count("T") / n, None, False)
      for word in compositions.prefix(n)
    },
    ladder=compositions.prefix(n),
    config={"model.preset": preset},
    store=store,
  )
