"""Many compositions of one batch, where those that begin alike share it.

Compositions form a tree, whose nodes are their beginnings: "T", "TS", "TSS".
A unit runs once per node, for all nodes of its depth in one call: of all 2^N
compositions, every unit of both networks is compiled and called once, and
2^(N+1) unit runs do the work of N 2^N.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import composition as compositions
from pwl_jax.method.network import Variables, apply_unit
from pwl_jax.method.swapnet import SwapNet

# Batch statistics that some nodes have of their own, for their last unit.
Statistics = Mapping[str, Any]
# (unit, its letter, nodes, their inputs [nodes, b, ...]) -> [nodes, b, ...]
RunUnit = Callable[[int, str, list[str], jax.Array], jax.Array]


class Level(NamedTuple):
  """The nodes of one depth by their last letter, and their features."""

  nodes: dict[str, list[str]]
  features: dict[str, jax.Array]  # letter -> [nodes, b, ...]


def all_logits(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  words: Sequence[str],
  statistics: Statistics | None = None,
) -> jax.Array:
  """Logits of these compositions in evaluation mode, [words, b, k].

  A node without batch statistics of its own runs on its network's; one with
  units in fewer bits has those of the same units in full.
  """
  statistics = statistics or {}

  def run(i, letter, nodes, inputs):
    unit, own = swapnet.unit(variables, i, letter)
    if not any(compositions.in_full(node) in statistics for node in nodes):
      apart = jax.tree.leaves(inputs)[0].shape[:2]
      flat = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), inputs
      )
      output, _ = apply_unit(unit, own, flat)
      return jax.tree.map(
        lambda leaf: leaf.reshape(*apart, *leaf.shape[1:]), output
      )
    each = [
      statistics.get(compositions.in_full(node), own["batch_stats"])
      for node in nodes
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    return jax.vmap(
      lambda stats, x: apply_unit(unit, {**own, "batch_stats": stats}, x)[0]
    )(stacked, inputs)

  return walk(swapnet, variables, x, words, run)


def walk(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  words: Sequence[str],
  run: RunUnit,
) -> jax.Array:
  """The tree of these compositions, its units run by `run`; their logits."""
  for word in words:
    swapnet.check_composition(variables, word)
  swapnet.teacher.check_input(x)
  level = None
  for i in range(swapnet.num_units):
    depth = nodes_of(words, i)
    ending = {
      letter: nodes
      for letter in compositions.GROUPS
      if (nodes := [node for node in depth if node[-1] == letter])
    }
    features = {
      letter: run(
        i, letter, nodes, _inputs(swapnet, variables, x, letter, nodes, level)
      )
      for letter, nodes in ending.items()
    }
    level = Level(ending, features)
  found = {
    word: logits
    for letter in level.nodes
    for word, logits in zip(
      level.nodes[letter], level.features[letter], strict=True
    )
  }
  return jnp.stack([found[word] for word in words])


def nodes_of(words: Sequence[str], i: int) -> list[str]:
  """The beginnings that end with unit i."""
  return list(dict.fromkeys(word[: i + 1] for word in words))


def width(words: Sequence[str]) -> int:
  """How many times a batch runs through one unit at once, at most."""
  return max(
    sum(node[-1] == letter for node in nodes_of(words, i))
    for i in range(len(words[0]))
    for letter in compositions.GROUPS
  )


def _inputs(
  swapnet, variables, x, letter, nodes, before: Level | None
) -> jax.Array:
  """What a unit gets in each node: its parent's feature, in its own width."""
  if before is None:
    return x[None]
  parents = [node[:-1] for node in nodes]
  parts, places = [], {}
  for other, known in before.nodes.items():
    wanted = [n for n in known if n in parents]
    if not wanted:
      continue
    rows = jnp.asarray([known.index(n) for n in wanted])
    feature = jax.tree.map(
      lambda leaf, rows=rows: leaf[rows], before.features[other]
    )
    if compositions.is_switch(letter, other):
      boundary = len(wanted[0]) - 1
      feature = swapnet.convert(variables, boundary, letter, feature)
    places |= {n: len(places) + k for k, n in enumerate(wanted)}
    parts.append(feature)
  order = jnp.asarray([places[parent] for parent in parents])
  return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[order], *parts)
