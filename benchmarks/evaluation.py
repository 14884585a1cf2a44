"""All compositions of one batch: as a tree, and one after the other.

  python -m benchmarks.evaluation --preset=resnet --batch_size=64

Both are timed in turns. 2^(N+1) unit runs take the place of N 2^N.
"""

import jax

from benchmarks.noise import input_of
from benchmarks.records import Record, parser_of, tell
from benchmarks.timing import Seconds, explained, in_turns, summaries
from pwl_jax import models
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.evaluation.tree import all_logits
from pwl_jax.method import composition as compositions
from pwl_jax.method.swapnet import SwapNet

BASE = "one by one"


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.evaluation", __doc__)
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--batch_size", type=int, default=64)
  parser.add_argument("--rounds", type=int, default=5)
  given = parser.parse_args(argv)
  swapnet = SwapNet.create(*models.create_pair(given.preset))
  kind = input_of(given.preset)
  x = to_network(noise(kind, given.batch_size), kind)
  found = measure(swapnet, x, given.rounds)
  title = f"all compositions of {given.preset}, batch {given.batch_size}"
  notes = [explained(BASE, given.rounds)]
  return tell([Record(title, summaries(found, BASE), notes)], given.json)


def measure(swapnet: SwapNet, x: jax.Array, rounds: int) -> Seconds:
  words = tuple(compositions.every(swapnet.num_units))
  variables = jax.jit(swapnet.init)(jax.random.key(0))
  tree = jax.jit(lambda v, x: all_logits(swapnet, v, x, words))
  alone = jax.jit(swapnet.logits, static_argnums=2)
  cases = {
    BASE: lambda: [alone(variables, x, word) for word in words],
    "tree": lambda: tree(variables, x),
  }
  return in_turns(cases, rounds=rounds)


if __name__ == "__main__":
  main()
