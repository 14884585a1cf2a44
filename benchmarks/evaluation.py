"""All compositions of one batch: as a tree, and one after the other.

  python -m benchmarks.evaluation --preset=resnet --batch_size=64

Both are timed in turns. The last column is the ratio to one composition after
the other; 2^(N+1) unit runs take the place of N 2^N.
"""

import argparse
import pathlib

import jax

from benchmarks.noise import input_of
from benchmarks.timing import in_turns, summary, tell
from pwl_jax import models
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.evaluation.tree import all_logits
from pwl_jax.method import composition as compositions
from pwl_jax.method.swapnet import SwapNet

BASE = "one by one"


def main(argv: list[str] | None = None):
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.evaluation", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--batch_size", type=int, default=64)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
  given = parser.parse_args(argv)
  swapnet = SwapNet.create(*models.create_pair(given.preset))
  kind = input_of(given.preset)
  x = to_network(noise(kind, given.batch_size), kind)
  found = measure(swapnet, x, given.rounds)
  title = f"all compositions of {given.preset}, batch {given.batch_size}"
  tell(found, BASE, title=title, path=given.json)


def measure(
  swapnet: SwapNet, x: jax.Array, rounds: int
) -> dict[str, dict[str, float]]:
  words = tuple(compositions.every(swapnet.num_units))
  variables = jax.jit(swapnet.init)(jax.random.key(0))
  tree = jax.jit(lambda v, x: all_logits(swapnet, v, x, words))
  alone = jax.jit(swapnet.logits, static_argnums=2)
  cases = {
    BASE: lambda: [alone(variables, x, word) for word in words],
    "tree": lambda: tree(variables, x),
  }
  return {
    name: summary(seconds)
    for name, seconds in in_turns(cases, rounds=rounds).items()
  }


if __name__ == "__main__":
  main()
