"""Each sampler against its stated counts and its exact distribution."""

import collections

import jax
import numpy as np
import pytest

from pwl_jax.method import composition, sampling

SIZES = [(8, 2), (8, 3), (12, 4), (16, 6), (32, 12)]
DRAWS = 20_000


def words(masks):
  return [composition.from_bits(row) for row in np.asarray(masks)]


def paper_distribution(num_units):
  """By enumeration: P of every composition under the paper's rule."""
  found = collections.Counter()
  for start in "ST":
    for pivot in range(1, num_units):
      other = "T" if start == "S" else "S"
      word = start * pivot + other * (num_units - pivot)
      found[word] += 0.5 * 0.5 / (num_units - 1)
  for word in composition.every(num_units):
    share = 0.5 / 2**num_units
    if len(set(word)) == 2:
      found[word] += share
      continue
    for i in range(num_units):
      flipped = composition.complement(word[i])
      found[word[:i] + flipped + word[i + 1 :]] += share / num_units
  return found


def uniform_distribution(num_units):
  mixed = composition.every(num_units)[1:-1]
  return dict.fromkeys(mixed, 1 / len(mixed))


def switch_distribution(num_units):
  words = {
    first * i + other * (num_units - i)
    for first, other in ("ST", "TS")
    for i in range(1, num_units)
  }
  return dict.fromkeys(words, 1 / len(words))


@pytest.mark.parametrize("name", sampling.SAMPLERS)
@pytest.mark.parametrize("batch, num_units", SIZES)
def test_every_draw_has_the_stated_counts_and_no_pure_network(
  name, batch, num_units
):
  sampler = sampling.get_sampler(name)
  counts = sampler.teacher_counts(batch, num_units)
  leading = sampler.leading_counts(batch, num_units)
  draw = jax.jit(lambda key: sampler.masks(key, batch, num_units))
  for seed in range(20):
    masks = np.asarray(draw(jax.random.key(seed)))
    assert masks.shape == (batch, num_units) and masks.dtype == bool
    assert tuple(masks.sum(axis=0)) == counts
    assert not masks.all(axis=1).any() and masks.any(axis=1).all()
    for letter, own in (("T", masks), ("S", ~masks)):
      led = np.cumprod(own, axis=1).sum(axis=0)
      assert set(led - leading[letter]) <= {0, 1}


@pytest.mark.parametrize(
  "name, distribution",
  [
    ("paper", paper_distribution),
    ("uniform", uniform_distribution),
    ("switch", switch_distribution),
  ],
)
@pytest.mark.parametrize("num_units", [2, 3, 4, 5])
def test_distribution(name, distribution, num_units):
  expected = distribution(num_units)
  assert sum(expected.values()) == pytest.approx(1)
  masks = sampling.get_sampler(name).masks(jax.random.key(3), DRAWS, num_units)
  found = collections.Counter(words(masks))
  assert set(found) == set(expected)
  for word, probability in expected.items():
    # Complements come together, so only half of the draws are independent.
    deviation = np.sqrt(probability * (1 - probability) / (DRAWS / 2))
    assert abs(found[word] / DRAWS - probability) < 5 * deviation + 1e-9


@pytest.mark.parametrize("batch", [2, 6])
def test_each_example_has_the_distribution_however_even_the_batch(batch):
  """Over keys, as the examples of a batch share it out among them."""
  sampler = sampling.get_sampler("paper")
  keys = jax.random.split(jax.random.key(5), DRAWS)
  masks = jax.vmap(lambda key: sampler.masks(key, batch, 3))(keys)
  for j in range(batch):
    found = collections.Counter(words(masks[:, j]))
    for word, probability in paper_distribution(3).items():
      deviation = np.sqrt(probability * (1 - probability) / DRAWS)
      assert abs(found[word] / DRAWS - probability) < 5 * deviation


def test_a_batch_is_shared_out_evenly():
  """Where shares are whole numbers, every batch has exactly these."""
  for seed in range(5):
    masks = sampling.get_sampler("switch").masks(jax.random.key(seed), 24, 5)
    switched = np.asarray(masks[:, 1:] != masks[:, :-1])
    np.testing.assert_array_equal(switched.sum(axis=0), [6, 6, 6, 6])


def test_uniform_holds_for_more_units_than_an_integer_has_bits():
  uniform = sampling.get_sampler("uniform")
  masks = np.asarray(uniform.masks(jax.random.key(0), 2000, 40))
  assert abs(masks.mean() - 0.5) < 0.01
  # Neighbours are independent: one uniform composition is 40 coins.
  assert abs((masks[:, 1:] == masks[:, :-1]).mean() - 0.5) < 0.01


@pytest.mark.parametrize("name", ["paper", "uniform"])
def test_pairs_are_complementary_and_examples_differ(name):
  masks = sampling.get_sampler(name).masks(jax.random.key(1), 64, 4)
  np.testing.assert_array_equal(masks[:32], ~masks[32:])
  assert len(set(words(masks))) > 4


def test_prefix_gives_every_switch_its_quota_at_random_places():
  sampler = sampling.get_sampler("prefix")
  for batch, quotas in ((9, {3}), (10, {3, 4}), (11, {3, 4})):
    found = collections.Counter(
      words(sampler.masks(jax.random.key(0), batch, 4))
    )
    assert set(found) == {"TSSS", "TTSS", "TTTS"}
    assert set(found.values()) == quotas
  draws = [
    words(sampler.masks(jax.random.key(seed), 9, 4))[0] for seed in range(300)
  ]
  for count in collections.Counter(draws).values():
    assert abs(count - 100) < 5 * np.sqrt(300 * 2 / 9)


def test_same_key_same_masks():
  for sampler in sampling.SAMPLERS.values():
    a, b, c = (sampler.masks(jax.random.key(k), 16, 4) for k in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_bad_sizes_say_what_to_do():
  key = jax.random.key(0)
  paper, prefix = sampling.SAMPLERS["paper"], sampling.SAMPLERS["prefix"]
  for ask in (paper.teacher_counts, lambda *size: paper.masks(key, *size)):
    with pytest.raises(ValueError, match=r"even number.*got 7.*Use 6 or 8"):
      ask(7, 4)
    with pytest.raises(ValueError, match="no mixed compositions"):
      ask(8, 1)
  with pytest.raises(ValueError, match=r"5 examples.*at least 11"):
    prefix.masks(key, 5, 12)
  with pytest.raises(ValueError, match=r"unknown sampler 'papr'.*'paper'"):
    sampling.get_sampler("papr")
