"""What is chosen of all that is measured, on a bench that knows the scores."""

import itertools

import pytest

from pwl_jax.evaluation import examine, words
from pwl_jax.evaluation.examine import Options
from pwl_jax.evaluation.scores import Score
from pwl_jax.evaluation.tree import width
from pwl_jax.method import composition as compositions


class Bench:
  """Gives the accuracies of a table: (split, calibrated) -> word -> one."""

  def __init__(self, swapnet, tables):
    self.swapnet, self.tables, self.asked = swapnet, tables, []

  def score(self, split, words, variables, statistics=None, *, title=""):
    table = self.tables[split, bool(statistics)]
    self.asked += words
    return {word: Score(100, table(word), None, 0.0) for word in words}

  def calibrate(self, words, variables, images):
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


@pytest.mark.parametrize("preset", ["tiny_resnet", "tiny_vit"])
def test_nothing_is_calibrated_where_that_is_not_asked_or_not_possible(
  tiny, preset
):
  tables = {("valid", False): rising, ("test", False): rising}
  images = 0 if preset == "tiny_resnet" else 100
  found, _ = run(tiny(preset).swapnet, tables, calibration_images=images)
  assert found.measured.tried == 0 and found.measured.statistics == {}


def test_all_compositions_of_seven_units_and_families_of_more():
  assert words.first_words(7) == compositions.every(7)
  many = words.first_words(8)
  for name in compositions.FAMILIES:
    assert set(compositions.family(name, 8)) <= set(many)
  assert len(many) == len(set(many)) < 128


def test_wishes_are_one_exchange_away():
  wishes = words.wishes((2, 0, 1), {"SST"})
  # 0, 2, 1 begins with TSS; 2, 1, 0 passes through STT.
  assert wishes == ["TSS", "STT"]
  assert words.wishes((2, 0, 1), compositions.every(3)) == []


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
  """Loading unit 1 first is best, and no family knows what comes behind."""

  def table(word):
    good = word[1] == "T" and (word[3] == "T" or word.count("T") < 2)
    return rising(word) + (0.3 if good and word.count("T") < 9 else 0)

  tables = {("valid", False): table, ("test", False): table}
  bench = Bench(NineUnits, tables)
  found = examine.examine(bench, {}, [1] * 9, Options())
  known = found.measured.own["valid"]
  assert len(known) > len(words.first_words(9))
  assert set(found.ladder.rungs) <= set(known)
  first = examine.best_ladder(
    {word: table(word) for word in words.first_words(9)}, [1] * 9
  )
  assert found.ladder.mean_accuracy > first.mean_accuracy
  # Every composition is asked for once by split.
  assert len(bench.asked) == 2 * len(known)


def test_the_width_of_a_tree():
  assert width(["TTT"]) == 1
  assert width(compositions.every(4)) == 8
  assert width(["TSS", "TST", "STT"]) == 2
