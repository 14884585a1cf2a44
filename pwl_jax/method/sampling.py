"""Random compositions: masks bool[b, N] drawn from PRNG keys, True = teacher.

A sampler also states, as static numbers, how many of the b examples are on
the teacher at each unit. The mixed batch cuts its halves by these counts, so
they hold for every key; that is what keeps shapes static and compiles one.

  paper       the paper's distribution, in complementary pairs: b/2 masks are
              drawn and the other examples take their complements
  uniform     every composition but the two pure ones, in complementary pairs
  switch      one switch, either way and anywhere, in complementary pairs
  prefix      T..TS..S with the switch anywhere; not closed under complement,
              so every switch gets its quota of the batch, in random order

No sampler ever draws the pure student or the pure teacher: the objective runs
those two anyway.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import composition
from pwl_jax.method.checks import check_choice


class Sampler(NamedTuple):
  """How to draw masks, and what every draw has in common."""

  masks: Callable[[jax.Array, int, int], jax.Array]  # key, b, N -> bool[b, N]
  teacher_counts: Callable[[int, int], tuple[int, ...]]  # b, N -> N counts
  pairs: bool = False  # Whether b has to be even.


def get_sampler(sampler: str | Sampler) -> Sampler:
  """One of `SAMPLERS` by name; one of your own passes through."""
  if isinstance(sampler, Sampler):
    return sampler
  check_choice("sampler", sampler, SAMPLERS)
  return SAMPLERS[sampler]


def draw_paper(key: jax.Array, batch: int, num_units: int) -> jax.Array:
  """One switch or independent coins, each with probability 1/2."""
  which, switch_key, coin_key, flip_key = jax.random.split(key, 4)
  shape = (batch, num_units)
  one_switch = draw_switch(switch_key, batch, num_units)

  coins = jax.random.bernoulli(coin_key, shape=shape)
  pure = jnp.all(coins == coins[:, :1], axis=1, keepdims=True)
  flipped = jax.random.randint(flip_key, (batch, 1), 0, num_units)
  independent = coins ^ (pure & (jnp.arange(num_units) == flipped))

  return jnp.where(
    jax.random.bernoulli(which, shape=(batch, 1)), one_switch, independent
  )


def draw_switch(key: jax.Array, batch: int, num_units: int) -> jax.Array:
  """A fair coin for the first unit, and a uniform place for the switch."""
  start_key, pivot_key = jax.random.split(key)
  start = jax.random.bernoulli(start_key, shape=(batch, 1))
  pivot = jax.random.randint(pivot_key, (batch, 1), 1, num_units)
  return start ^ (jnp.arange(num_units) >= pivot)


def draw_uniform(key: jax.Array, batch: int, num_units: int) -> jax.Array:
  """Uniform over the 2^N - 2 mixed compositions, for any N.

  The first unit that differs from unit 0 is at k with probability
  proportional to 2^-k; all behind it are fair coins.
  """
  first_key, pivot_key, coin_key = jax.random.split(key, 3)
  first = jax.random.bernoulli(first_key, shape=(batch, 1))
  index = jnp.arange(num_units)
  log_weights = -jnp.log(2.0) * index[1:]
  pivot = 1 + jax.random.categorical(pivot_key, log_weights, shape=(batch, 1))
  coins = jax.random.bernoulli(coin_key, shape=(batch, num_units))
  return jnp.where(index < pivot, first, (index == pivot) ^ first) ^ (
    (index > pivot) & (coins ^ first)
  )


def _paired(draw) -> Sampler:
  """A sampler from a distribution that is closed under complement.

  Examples i and i + b/2 get complementary masks, so every unit has exactly
  b/2 examples on each network.
  """

  def masks(key: jax.Array, batch: int, num_units: int) -> jax.Array:
    _check(batch, num_units)
    half = draw(key, batch // 2, num_units)
    return jnp.concatenate([half, ~half])

  def teacher_counts(batch: int, num_units: int) -> tuple[int, ...]:
    _check(batch, num_units)
    return (batch // 2,) * num_units

  def _check(batch: int, num_units: int):
    _check_units(num_units)
    if batch < 2 or batch % 2:
      fits = f"{batch - 1} or {batch + 1}" if batch > 2 else "2"
      raise ValueError(
        "a mixed batch is drawn in complementary pairs, so each device needs "
        f"an even number of examples, at least 2; got {batch}. Use {fits}, or "
        "drop the last incomplete batch"
      )

  return Sampler(masks, teacher_counts, pairs=True)


def _quotas(family: Callable[[int], list[str]]) -> Sampler:
  """A sampler that gives each mixed member of a family its share of b.

  Shares differ by at most one example; the larger ones are spread evenly.
  """

  def members(batch: int, num_units: int) -> list[tuple[bool, ...]]:
    _check_units(num_units)
    mixed = [m for m in family(num_units) if len(set(m)) == 2]
    if batch < len(mixed):
      raise ValueError(
        f"{batch} examples per device cannot hold all {len(mixed)} "
        f"compositions of this sampler for {num_units} units; use at least "
        f"{len(mixed)} examples per device, or sampler 'paper'"
      )
    return [
      composition.to_bits(mixed[i * len(mixed) // batch]) for i in range(batch)
    ]

  def masks(key: jax.Array, batch: int, num_units: int) -> jax.Array:
    rows = jnp.array(members(batch, num_units))
    return jax.random.permutation(key, rows, axis=0)

  def teacher_counts(batch: int, num_units: int) -> tuple[int, ...]:
    return tuple(map(sum, zip(*members(batch, num_units), strict=True)))

  return Sampler(masks, teacher_counts)


def _check_units(num_units: int):
  if num_units < 2:
    raise ValueError(
      f"a network of {num_units} unit has no mixed compositions to draw; cut "
      "it into at least 2 units, or leave the cross loss out"
    )


SAMPLERS: dict[str, Sampler] = {
  "paper": _paired(draw_paper),
  "uniform": _paired(draw_uniform),
  "switch": _paired(draw_switch),
  "prefix": _quotas(composition.prefix),
}
