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
those two anyway. Samplers share the batch out as evenly as whole numbers let
them, so they also know how many examples, at least, begin with units of one
network: their features are in that network's own pass.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import composition
from pwl_jax.method.checks import check_choice
from pwl_jax.method.composition import STUDENT, TEACHER


class Sampler(NamedTuple):
  """How to draw masks, and what every draw has in common.

  leading_counts(b, N) says, by the network's letter, for how many examples, at
  least, all units up to each one are that network's; without it only the first
  unit's are known.
  """

  masks: Callable[[jax.Array, int, int], jax.Array]  # key, b, N -> bool[b, N]
  teacher_counts: Callable[[int, int], tuple[int, ...]]  # b, N -> N counts
  pairs: bool = False  # Whether b has to be even.
  leading_counts: Callable[[int, int], Mapping[str, tuple[int, ...]]] = (
    lambda *size: {}
  )


def get_sampler(sampler: str | Sampler) -> Sampler:
  """One of `SAMPLERS` by name; one of your own passes through."""
  if isinstance(sampler, Sampler):
    return sampler
  check_choice("sampler", sampler, SAMPLERS)
  return SAMPLERS[sampler]


class Ways(NamedTuple):
  """How likely a first switch is, by what the units behind it do."""

  stay: float  # All with the network that was switched to.
  coins: float  # A fair coin each.
  back: float  # All with the first network again.


# A distribution that is closed under complement: the ways of going on behind a
# first switch in front of unit 1, 2, .. N-1.


def paper_ways(num_units: int) -> list[Ways]:
  """One switch or independent coins, each with probability 1/2.

  Coins that came out equal, 2 of the 2^N ways, have one unit flipped: any but
  the first goes back behind it, and the first alone is a switch at 1.
  """
  flipped = 2.0**-num_units / num_units
  return [
    Ways(
      stay=0.5 / (num_units - 1) + (flipped if i == 1 else 0.0),
      coins=2.0 ** -(i + 1),
      back=flipped,
    )
    for i in range(1, num_units)
  ]


def uniform_ways(num_units: int) -> list[Ways]:
  """Coins that are not all equal: each of the 2^N - 2 compositions alike."""
  unequal = 1 - 2.0 ** (1 - num_units)
  return [Ways(0.0, 2.0**-i / unequal, 0.0) for i in range(1, num_units)]


def switch_ways(num_units: int) -> list[Ways]:
  """A uniform place for the only switch."""
  return [Ways(1 / (num_units - 1), 0.0, 0.0)] * (num_units - 1)


def _paired(ways: Callable[[int], list[Ways]]) -> Sampler:
  """A sampler from a distribution that is closed under complement.

  Examples i and i + b/2 get complementary masks, so every unit has exactly
  b/2 examples on each network. Each way of going on gets its share of the b/2,
  rounded up or down at random so that the mean is exact.
  """

  def masks(key: jax.Array, batch: int, num_units: int) -> jax.Array:
    _check(batch, num_units)
    offset_key, order_key, first_key, coin_key = jax.random.split(key, 4)
    half = batch // 2
    # The ways below each bound, one by one, take that many of the half.
    bounds = _bounds(half, num_units)[:-1]
    whole = jnp.array([math.floor(bound) for bound in bounds])
    rest = jnp.array([bound % 1 for bound in bounds])
    bounds = whole + (jax.random.uniform(offset_key) < rest)
    way = jnp.searchsorted(bounds, jnp.arange(half), side="right")
    way = jax.random.permutation(order_key, way)[:, None]

    first = jax.random.bernoulli(first_key, shape=(half, 1))
    coins = jax.random.bernoulli(coin_key, shape=(half, num_units))
    switch, on = 1 + way // 3, way % 3  # on: a field of `Ways`.
    behind = (on == 0) | ((on == 1) & coins)
    unit = jnp.arange(num_units)
    drawn = first ^ ((unit == switch) | ((unit > switch) & behind))
    return jnp.concatenate([drawn, ~drawn])

  def teacher_counts(batch: int, num_units: int) -> tuple[int, ...]:
    _check(batch, num_units)
    return (batch // 2,) * num_units

  def leading_counts(batch: int, num_units: int) -> dict[str, tuple[int, ...]]:
    """One of each pair begins with either network, up to their switch."""
    _check(batch, num_units)
    switched = _bounds(batch // 2, num_units)[2::3]
    left = [batch // 2 - math.ceil(bound) for bound in switched]
    return dict.fromkeys((TEACHER, STUDENT), (batch // 2, *left))

  def _bounds(half: int, num_units: int) -> list[float]:
    """Shares of the half, summed up over the ways of going on."""
    shares = itertools.chain.from_iterable(ways(num_units))
    bounds = [half * share for share in itertools.accumulate(shares)]
    return [*bounds[:-1], float(half)]  # Not nearly.

  def _check(batch: int, num_units: int):
    _check_units(num_units)
    if batch < 2 or batch % 2:
      fits = f"{batch - 1} or {batch + 1}" if batch > 2 else "2"
      raise ValueError(
        "a mixed batch is drawn in complementary pairs, so each device needs "
        f"an even number of examples, at least 2; got {batch}. Use {fits}, or "
        "drop the last incomplete batch"
      )

  return Sampler(
    masks, teacher_counts, pairs=True, leading_counts=leading_counts
  )


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
    return _columns(members(batch, num_units))

  def leading_counts(batch: int, num_units: int) -> dict[str, tuple[int, ...]]:
    rows = members(batch, num_units)

    def led_by(letter):
      own = [[bit == (letter == TEACHER) for bit in row] for row in rows]
      return _columns([tuple(itertools.accumulate(row, min)) for row in own])

    return {letter: led_by(letter) for letter in (TEACHER, STUDENT)}

  return Sampler(masks, teacher_counts, leading_counts=leading_counts)


def _columns(rows: Sequence[tuple[bool, ...]]) -> tuple[int, ...]:
  """How many are true in each."""
  return tuple(map(sum, zip(*rows, strict=True)))


def _check_units(num_units: int):
  if num_units < 2:
    raise ValueError(
      f"a network of {num_units} unit has no mixed compositions to draw; cut "
      "it into at least 2 units, or leave the cross loss out"
    )


SAMPLERS: dict[str, Sampler] = {
  "paper": _paired(paper_ways),
  "uniform": _paired(uniform_ways),
  "switch": _paired(switch_ways),
  "prefix": _quotas(composition.prefix),
}
