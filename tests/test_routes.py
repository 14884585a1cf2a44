"""Which compositions a model visits on its way."""

import itertools

import pytest

from pwl_jax.method import composition as compositions
from pwl_jax.runtime import routes

RISING = {word: word.count("T") / 3 for word in compositions.every(3)}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_the_order_of_a_ladder_and_the_way_up_it(order):
  ladder = compositions.ladder(order)
  assert routes.loading_order(ladder, 3) == list(order)
  for policy in routes.POLICIES:
    way = routes.route("SSS", "TTT", order, RISING, policy=policy)
    assert way == ladder[1:]


def test_steps_down_are_taken_together_with_what_mends_them():
  accuracy = RISING | {"TSS": -1.0, "TTS": 0.0}
  way = routes.route("SSS", "TTT", (0, 1, 2), accuracy)
  assert way == ["TTS", "TTT"]
  accuracy["TTT"] = -2.0  # What is asked for is reached even so.
  way = routes.route("SSS", "TTT", (0, 1, 2), accuracy)
  assert way == ["TTS", "TTT"]
  way = routes.route("SSS", "TTT", (0, 1, 2), accuracy, policy="every")
  assert way == ["TSS", "TTS", "TTT"]


def test_no_step_is_worse_than_what_was_served_before_it():
  accuracies = itertools.product((0.2, 0.5, 0.8), repeat=3)
  for of_tss, of_tts, of_ttt in accuracies:
    accuracy = {"SSS": 0.5, "TSS": of_tss, "TTS": of_tts, "TTT": of_ttt}
    way = ["SSS", *routes.route("SSS", "TTT", (0, 1, 2), accuracy)]
    for before, after in itertools.pairwise(way):
      assert after == "TTT" or accuracy[after] >= accuracy[before]


def test_what_was_not_measured_is_reached_but_not_passed_through():
  known = {"SSS": 0.1, "TTT": 0.9}
  assert routes.route("SSS", "TTS", (0, 1, 2), known) == ["TTS"]
  assert routes.route("SSS", "TTT", (0, 1, 2), known) == ["TTT"]


def test_the_way_down_is_one_step():
  for present, target in (("TTT", "SSS"), ("TTS", "SST"), ("TST", "TSS")):
    assert routes.route(present, target, (0, 1, 2), RISING) == [target]
  assert routes.route("TTS", "TTS", (0, 1, 2), RISING) == []
