"""The best order of loading, against trying all of them."""

import itertools

import numpy as np
import pytest

from pwl_jax.evaluation.ladder import best_ladder, best_within
from pwl_jax.method import composition as compositions


def worth(order, accuracy, unit_bytes):
  """(greatest step down, area), by definition."""
  rungs = compositions.ladder(order)
  steps = [accuracy[a] - accuracy[b] for a, b in itertools.pairwise(rungs)]
  area = sum(
    accuracy[rung] * unit_bytes[unit]
    for rung, unit in zip(rungs, order, strict=False)
  )
  return max(0.0, *steps), area


def tables(num_units, count, levels):
  """Random accuracies of few levels, so that ties and steps down occur."""
  rng = np.random.default_rng(num_units)
  for _ in range(count):
    words = compositions.every(num_units)
    drawn = rng.integers(0, levels, len(words)) / levels
    # The more teacher, the better on the whole.
    rise = [word.count("T") / num_units for word in words]
    weight = rng.choice([0.0, 0.5, 2.0])
    accuracy = dict(
      zip(words, (drawn + weight * np.array(rise)) / 3, strict=True)
    )
    yield accuracy, [int(b) for b in rng.integers(1, 100, num_units)]


@pytest.mark.parametrize("num_units", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [3, 1000])
def test_the_planner_equals_trying_every_order(num_units, levels):
  monotone = 0
  for accuracy, unit_bytes in tables(num_units, 60, levels):
    found = best_ladder(accuracy, unit_bytes)
    orders = list(itertools.permutations(range(num_units)))
    worths = [worth(order, accuracy, unit_bytes) for order in orders]
    step = min(step for step, _ in worths)
    area = max(area for s, area in worths if s == step)
    assert found.worst_step == step
    assert found.rungs == tuple(compositions.ladder(found.order))
    mine = worth(found.order, accuracy, unit_bytes)
    assert mine == (step, pytest.approx(area))
    assert found.mean_accuracy == pytest.approx(area / sum(unit_bytes))
    monotone += step == 0
  assert monotone > 0 and (num_units == 1 or monotone < 60)


def test_of_equal_ladders_the_order_of_the_network():
  accuracy = dict.fromkeys(compositions.every(3), 0.5)
  assert best_ladder(accuracy, [1, 1, 1]).order == (0, 1, 2)


def test_families_are_enough_for_many_units():
  n = 9
  words = {*compositions.contiguous(n)}
  accuracy = {word: word.count("T") / n for word in words}
  accuracy["T" + "S" * (n - 1)] = 0.0  # The prefix family begins with a fall.
  found = best_ladder(accuracy, [1] * n)
  assert found.worst_step == 0 and set(found.rungs) <= words
  del accuracy["T" * n]
  with pytest.raises(ValueError, match="no ladder from SSSSSSSSS"):
    best_ladder(accuracy, [1] * n)


def test_the_best_composition_in_a_budget():
  accuracy = {"SS": 0.5, "TS": 0.9, "ST": 0.9, "TT": 0.95}
  size = {"SS": 2, "TS": 6, "ST": 5, "TT": 9}
  assert best_within(accuracy, size, 9) == "TT"
  assert best_within(accuracy, size, 8) == "ST"  # As good, and smaller.
  assert best_within(accuracy, size, 4) == "SS"
  with pytest.raises(ValueError, match="the smallest, SS, takes 2"):
    best_within(accuracy, size, 1)
