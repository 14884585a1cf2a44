"""Many compositions of one batch, where those that begin alike share it.

Compositions form a tree, whose nodes are their beginnings: "T", "TS", "TSS".
A unit runs once per node, for all nodes of its depth in one call: of all 2^N
compositions, every unit of both networks is compiled and called once, and
2^(N+1) unit runs do the work of N 2^N.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import composition as compositions
from pwl_jax.method.network import Variables
from pwl_jax.method.swapnet import SwapNet

LETTERS = (compositions.TEACHER, compositions.STUDENT)


class Level(NamedTuple):
  """The nodes of one depth by their last letter, and their features."""

  nodes: dict[str, list[str]]
  features: dict[str, jax.Array]  # letter -> [nodes, b, ...]


def all_logits(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  words: Sequence[str],
) -> jax.Array:
  """Logits of these compositions in evaluation mode, [words, b, k]."""
  for word in words:
    compositions.validate(word, swapnet.num_units)
  swapnet.teacher.check_input(x)
  level = None
  for i in range(swapnet.num_units):
    nodes = dict.fromkeys(word[: i + 1] for word in words)
    level = _next_level(swapnet, variables, x, i, list(nodes), level)
  found = {
    word: logits
    for letter in level.nodes
    for word, logits in zip(
      level.nodes[letter], level.features[letter], strict=True
    )
  }
  return jnp.stack([found[word] for word in words])


def _next_level(swapnet, variables, x, i, nodes, before: Level | None) -> Level:
  ending = {letter: [n for n in nodes if n[-1] == letter] for letter in LETTERS}
  ending = {letter: mine for letter, mine in ending.items() if mine}
  features = {}
  for letter, mine in ending.items():
    inputs = (
      x[None]
      if before is None
      else _inputs(swapnet, variables, i, letter, mine, before)
    )
    flat = inputs.reshape(-1, *inputs.shape[2:])
    output, _ = swapnet.run_unit(variables, i, letter, flat)
    features[letter] = output.reshape(*inputs.shape[:2], *output.shape[1:])
  return Level(ending, features)


def _inputs(swapnet, variables, i, letter, nodes, before: Level) -> jax.Array:
  """What unit i gets in each node: its parent's feature, in its own width."""
  parents = [node[:-1] for node in nodes]
  parts, places = [], {}
  for other, known in before.nodes.items():
    wanted = [n for n in known if n in parents]
    if not wanted:
      continue
    rows = jnp.asarray([known.index(n) for n in wanted])
    feature = before.features[other][rows]
    if other != letter:
      convert = (
        swapnet.decode if letter == compositions.TEACHER else swapnet.encode
      )
      feature = convert(variables, i - 1, feature)
    places |= {n: len(places) + k for k, n in enumerate(wanted)}
    parts.append(feature)
  order = jnp.asarray([places[parent] for parent in parents])
  return jnp.concatenate(parts)[order]
