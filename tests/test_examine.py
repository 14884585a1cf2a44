"""What is chosen of all that is measured, on a bench that knows the scores."""

import itertools
import math

import numpy as np
import pytest

from pwl_jax.evaluation import examine, words
from pwl_jax.evaluation.examine import Options
from pwl_jax.evaluation.ladder import best_ladder
from pwl_jax.evaluation.scores import Score
from pwl_jax.evaluation.tree import width
from pwl_jax.method import composition as compositions


class Bench:
  """Gives the accuracies of a table: (split, calibrated) -> word -> one."""

  def __init__(self, swapnet, tables):
    self.swapnet, self.tables, self.asked = swapnet, tables, []
    self.loss = {}

  def score(self, split, words, variables, statistics=None, *, title=""):
    table = self.tables[split, bool(statistics)]
    self.asked += words
    loss = self.loss.get((split, bool(statistics)), 0.0)
    return {word: Score(100, table(word), None, loss) for word in words}

  def calibrate(self, words, variables, count):
    nodes = {word[: i + 1] for word in words for i in range(len(word))}
    return {node: node.lower() for node in nodes if len(set(node)) > 1}


def rising(word):
  return word.count("T") / len(word)


def run(swapnet, tables, **options):
  bench = Bench(swapnet, tables)
  found = examine.examine(
    bench, {}, [1] * swapnet.num_units, Options(**options)
  )
  return found, bench


def test_calibration_is_kept_where_held_out_examples_gain(tiny):
  gains = {"TSS": 0.01, "STS": -0.01}
  tables = {
    ("valid", False): rising,
    ("test", False): rising,
    ("valid", True): lambda word: rising(word) + gains.get(word, 0),
    ("test", True): lambda word: 0.0,  # Has no say.
  }
  found, _ = run(tiny("tiny_resnet").swapnet, tables)
  measured = found.measured
  assert list(measured.better["valid"]) == ["TSS"]
  assert measured.tried == 6
  assert measured.statistics == {"TS": "ts", "TSS": "tss"}
  accuracy = measured.accuracy("valid")
  assert accuracy["TSS"] == rising("TSS") + 0.01
  assert accuracy["STS"] == rising("STS")
  assert measured.accuracy("test")["TSS"] == 0.0
  assert found.ladder.order[0] == 0 and found.ladder.worst_step == 0


def test_the_test_examples_decide_nothing(tiny):
  tables = dict.fromkeys(
    itertools.product(("valid", "test"), (False, True)), rising
  )
  swapnet = tiny("tiny_resnet").swapnet
  one, _ = run(swapnet, tables)
  tables["test", False] = tables["test", True] = lambda word: 1 - rising(word)
  other, _ = run(swapnet, tables)
  assert one.ladder == other.ladder
  assert one.measured.better["valid"] == other.measured.better["valid"]


@pytest.mark.parametrize("preset", ["tiny_resnet", "tiny_vit", "tiny_text"])
def test_nothing_is_calibrated_where_that_is_not_asked_or_not_possible(
  tiny, preset
):
  tables = {("valid", False): rising, ("test", False): rising}
  count = 0 if preset == "tiny_resnet" else 100
  found, _ = run(tiny(preset).swapnet, tables, calibration_images=count)
  assert found.measured.tried == 0 and found.measured.statistics == {}


def test_all_compositions_of_seven_units_and_families_of_more():
  assert words.first_words(7) == compositions.every(7)
  many = words.first_words(8)
  for name in compositions.FAMILIES:
    assert set(compositions.family(name, 8)) <= set(many)
  assert len(many) == len(set(many)) < 128


def table_of(num_units, seed):
  """Every composition: what units give and switches take, and a little else."""
  rng = np.random.default_rng(seed)
  gain = rng.uniform(0, 0.1, num_units)
  loss = rng.uniform(0, 0.08, (2, num_units - 1))

  def accuracy(word):
    bits = np.array(compositions.to_bits(word), float)
    up, down = (1 - bits[:-1]) * bits[1:], bits[:-1] * (1 - bits[1:])
    plain = 0.5 + bits @ gain - up @ loss[0] - down @ loss[1]
    return float(plain + rng.normal(scale=0.002))

  return {word: accuracy(word) for word in compositions.every(num_units)}


def test_what_is_wished_for_makes_better_ladders():
  better = 0
  for seed in range(6):
    table = table_of(8, seed)
    unit_bytes = np.random.default_rng(seed).integers(1, 100, 8).tolist()
    known = {word: table[word] for word in words.first_words(8)}
    families = best_ladder(known, unit_bytes)
    while more := words.wishes(known, unit_bytes):
      assert not known.keys() & set(more)
      known |= {word: table[word] for word in more}
    found, best = (best_ladder(t, unit_bytes) for t in (known, table))
    assert len(known) < 80 < len(table)
    found, families, best = (
      (ladder.worst_step, -ladder.mean_accuracy)
      for ladder in (found, families, best)
    )
    assert best <= found <= families
    better += found < families
  assert better >= 2


def test_with_very_many_units_neighbours_of_the_ladder_are_wished_for():
  n = 13
  known = {word: word.count("T") / n for word in words.first_words(n)}
  more = words.wishes(known, [1] * n)
  assert (
    set(more)
    == set(words.neighbours(compositions.ladder(range(n)))) - known.keys()
    and more
  )


class NineUnits:
  """All that examine asks of a swap network of which nothing is run."""

  num_units = 9

  @staticmethod
  def abstract_variables():
    return {}

  @staticmethod
  def unit(variables, i, letter):
    return None, {}


def test_with_many_units_the_planner_asks_for_more():
  table = table_of(9, 3)
  tables = {(split, False): table.get for split in ("valid", "test")}
  bench = Bench(NineUnits, tables)
  found = examine.examine(bench, {}, [1] * 9, Options())
  known = found.measured.own["valid"]
  assert len(known) > len(words.first_words(9))
  assert set(found.ladder.rungs) <= set(known)
  # Every composition is asked for once by split.
  assert len(bench.asked) == 2 * len(known)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_what_is_not_finite_is_never_chosen(tiny, split):
  tables = {(s, c): rising for s in ("valid", "test") for c in (False, True)}
  bench = Bench(tiny("tiny_resnet").swapnet, tables)
  bench.loss["valid", True] = math.nan
  tables["valid", True] = lambda word: 1.0
  found = examine.examine(bench, {}, [1] * 3, Options())
  assert found.measured.better == {"valid": {}, "test": {}}
  bench.loss[split, False] = math.nan
  with pytest.raises(ValueError, match=f"SSS, SST.* on {split} examples"):
    examine.examine(bench, {}, [1] * 3, Options())


def test_the_width_of_a_tree():
  assert width(["TTT"]) == 1
  assert width(compositions.every(4)) == 8
  assert width(["TSS", "TST", "STT"]) == 2
