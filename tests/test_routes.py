"""Which compositions a model visits on its way."""

import itertools

import pytest

from pwl_jax.method import composition as compositions
from pwl_jax.runtime import routes

ORDER = routes.loading_order(compositions.prefix(3), 3)
RISING = {word: word.count("T") / 3 for word in compositions.every(3)}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_order_of_a_ladder_and_the_way_up_it(order):
  ladder = compositions.ladder(order)
  found = routes.loading_order(ladder, 3)
  assert found == [(unit, "T") for unit in order]
  for policy in routes.POLICIES:
    way = routes.route("SSS", "TTT", found, RISING, policy=policy)
    assert way == ladder[1:]


def test_steps_down_are_taken_together_with_what_mends_them():
  accuracy = RISING | {"TSS": -1.0, "TTS": 0.0}
  way = routes.route("SSS", "TTT", ORDER, accuracy)
  assert way == ["TTS", "TTT"]
  accuracy["TTT"] = -2.0  # What is asked for is reached even so.
  way = routes.route("SSS", "TTT", ORDER, accuracy)
  assert way == ["TTS", "TTT"]
  way = routes.route("SSS", "TTT", ORDER, accuracy, policy="every")
  assert way == ["TSS", "TTS", "TTT"]


def test_no_step_is_worse_than_what_was_served_before_it():
  accuracies = itertools.product((0.2, 0.5, 0.8), repeat=3)
  for of_tss, of_tts, of_ttt in accuracies:
    accuracy = {"SSS": 0.5, "TSS": of_tss, "TTS": of_tts, "TTT": of_ttt}
    way = ["SSS", *routes.route("SSS", "TTT", ORDER, accuracy)]
    for before, after in itertools.pairwise(way):
      assert after == "TTT" or accuracy[after] >= accuracy[before]


def test_what_was_not_measured_is_reached_but_not_passed_through():
  known = {"SSS": 0.1, "TTT": 0.9}
  assert routes.route("SSS", "TTS", ORDER, known) == ["TTS"]
  assert routes.route("SSS", "TTT", ORDER, known) == ["TTT"]


def test_the_way_down_is_one_step():
  for present, target in (("TTT", "SSS"), ("TTS", "SST"), ("TST", "TSS")):
    assert routes.route(present, target, ORDER, RISING) == [target]
  assert routes.route("TTS", "TTS", ORDER, RISING) == []


COARSE = compositions.every(3, range(3))
LATTICE = {word: compositions.height(word) / 6 for word in COARSE}


def loading(*ladder):
  return routes.loading_order(ladder, 3)


def test_units_come_coarse_first_and_are_made_exact_as_the_ladder_has_it():
  ladder = ["SSS", "tSS", "ttS", "TtS", "TtT", "TTT"]
  for policy in routes.POLICIES:
    way = routes.route("SSS", "TTT", loading(*ladder), LATTICE, policy=policy)
    assert way == ladder[1:]
  for present, target, way in (
    ("SSS", "ttS", ["tSS", "ttS"]),
    ("SSS", "TSS", ["tSS", "TSS"]),
    ("SST", "TTT", ["tST", "ttT", "TtT", "TTT"]),
    ("SSS", "SSt", ["SSt"]),  # Which the ladder never has.
    ("TtS", "TTS", ["TTS"]),
    ("TTT", "ttt", ["ttt"]),
    ("TTT", "tSt", ["tSt"]),
    ("Ttt", "tTt", ["tTt"]),
  ):
    assert routes.route(present, target, loading(*ladder), LATTICE) == way


def test_every_way_ends_and_every_step_is_one_or_mends():
  order = loading("SSS", "SSt", "tSt", "ttt", "tTt", "TTt", "TTT")
  for present, target in itertools.permutations(COARSE, 2):
    way = routes.route(
      present,
      target,
      order,
      LATTICE,
      policy="every",
      crosses=lambda before, after: False,
    )
    assert way[-1] == target and len(way) == len(set(way))
    for before, after in itertools.pairwise([present, *way]):
      assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_to_make_a_unit_exact_is_never_put_off():
  """By chance the coarse one was measured to be better."""
  order = loading("SSS", "tSS", "ttS", "ttt", "Ttt", "TTt", "TTT")
  accuracy = LATTICE | {"Ttt": 0.45, "TTt": 0.4, "ttt": 0.5}
  way = routes.route("SSS", "TTT", order, accuracy)
  assert way == ["tSS", "ttS", "ttt", "Ttt", "TTt", "TTT"]
  accuracy["tSS"] = -1.0  # A unit that comes coarse may well be worse.
  assert routes.route("SSS", "TTT", order, accuracy)[0] == "ttS"
