"""Batch statistics behind a switch, against units in training mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.evaluation import calibration
from pwl_jax.evaluation.calibration import (
  calibrated_variables,
  make_calibration,
  nodes_to_calibrate,
)
from pwl_jax.evaluation.scores import make_scorer
from pwl_jax.evaluation.tree import all_logits
from pwl_jax.method import composition as compositions
from pwl_jax.method.network import apply_unit
from pwl_jax.training.accuracy import Batches, make_evaluator
from tests.cases import assert_close, trees_equal
from tests.test_scores import normalise, split_of

WORDS = compositions.every(3)
MOMENTUM = 0.9  # Of the running averages of all our batch norms.


def calibrate(case, split, *, batch_size=64, devices=1, words=WORDS):
  devices = jax.devices()[:devices]
  batches = Batches(split, batch_size=batch_size, devices=devices)
  run = make_calibration(
    case.swapnet, words, normalise=normalise, devices=devices
  )
  return run(case.variables, batches)


def plain(case, word, x):
  """node -> statistics of one batch, by units in training mode.

  They normalise by the batch, and mix its statistics into the running ones.
  """
  found = {}
  for i, letter in enumerate(word):
    if i and letter != word[i - 1]:
      x = case.swapnet.convert(case.variables, i - 1, letter, x)
    unit, own = case.swapnet.unit(case.variables, i, letter)
    behind_a_switch = len(set(word[: i + 1])) > 1
    x, new = apply_unit(unit, own, x, train=behind_a_switch)
    if behind_a_switch:
      found[word[: i + 1]] = jax.tree.map(
        lambda new, old: (new - MOMENTUM * old) / (1 - MOMENTUM),
        new,
        own["batch_stats"],
      )
  return found


@pytest.mark.parametrize("preset", ["tiny_resnet", "tiny_vgg", "tiny_audio"])
def test_one_batch_gives_what_units_see_in_training(tiny, preset):
  case = tiny(preset)
  split = split_of(case, 16)
  found = calibrate(case, split)
  golden = {}
  for word in WORDS:
    golden |= plain(case, word, normalise(split.inputs))
  assert found.keys() == golden.keys()
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), found, golden)


def test_many_batches_count_as_one(tiny):
  case = tiny("tiny_resnet")
  split = split_of(case, 21)
  found = calibrate(case, split, batch_size=8)
  parts = [split.take(slice(i, i + 8)) for i in (0, 8, 16)]
  each = [calibrate(case, part)["TS"] for part in parts]
  each = [stats["block0"]["conv0"]["norm"] for stats in each]
  share = np.array([8, 8, 5])[:, None] / 21
  mean = sum(share * np.stack([stats["mean"] for stats in each]))
  square = [stats["var"] + stats["mean"] ** 2 for stats in each]
  mine = found["TS"]["block0"]["conv0"]["norm"]
  assert_close(mine["mean"], mean, 1e-5)
  assert_close(mine["var"], sum(share * np.stack(square)) - mean**2, 1e-5)


def test_devices_see_each_others_examples(tiny):
  case = tiny("tiny_resnet")
  split = split_of(case, 21)
  one, many = (calibrate(case, split, batch_size=8, devices=n) for n in (1, 8))
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), many, one)


def test_teacher_and_student_keep_their_bits(tiny):
  case = tiny("tiny_resnet")
  before = jax.tree.map(np.array, case.variables)
  statistics = calibrate(case, split_of(case))
  assert all(len(set(node)) == 2 for node in statistics)
  run = jax.jit(all_logits, static_argnums=(0, 3))
  own, calibrated = (
    run(case.swapnet, case.variables, case.x, tuple(WORDS), stats)
    for stats in ({}, statistics)
  )
  changed = [word for word, a, b in zip(WORDS, own, calibrated, strict=True)
             if not np.array_equal(a, b)]  # fmt: skip
  assert changed == WORDS[1:-1]
  assert trees_equal(before, case.variables)
  for word in ("SSS", "TTT"):
    assert trees_equal(
      before, calibrated_variables(case.variables, word, statistics)
    )


@pytest.mark.parametrize("devices", [1, 4])
def test_calibrated_compositions_at_once_equal_one_by_one(tiny, devices):
  case = tiny("tiny_resnet")
  split = split_of(case)
  statistics = calibrate(case, split)
  devices = jax.devices()[:devices]
  batches = Batches(split, batch_size=8, devices=devices)
  score = make_scorer(case.swapnet, WORDS, normalise=normalise, devices=devices)
  found = score(case.variables, batches, statistics)
  alone = Batches(split, batch_size=8, devices=jax.devices()[:1])
  for word in WORDS:
    evaluate = make_evaluator(
      lambda v, x, word=word: case.swapnet.logits(v, normalise(x), word), alone
    )
    plain = evaluate(calibrated_variables(case.variables, word, statistics))
    assert found[word].top1 == plain["accuracy"]
    np.testing.assert_allclose(found[word].loss, plain["loss"], rtol=1e-5)


def test_what_has_no_batch_statistics_has_nothing_to_calibrate(tiny):
  for name in ("tiny_vit", "tiny_text"):
    assert nodes_to_calibrate(tiny(name).swapnet, WORDS) == []
  resnet = tiny("tiny_resnet").swapnet
  assert nodes_to_calibrate(resnet, ["SSS", "TTT"]) == []
  assert nodes_to_calibrate(resnet, ["TTS", "TSS"]) == ["TS", "TTS", "TSS"]


def test_a_large_mean_costs_no_digits():
  """Variances are of differences, not differences of squares."""
  from pwl_jax.evaluation.calibration import _mean_and_variance
  from pwl_jax.training.parallel import on_all

  x = 1e3 + np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
  run = on_all(
    lambda x: _mean_and_variance(x, jnp.full(64, 1 / 64), 1, (0,)),
    jax.devices()[:1],
    apart=(False,),
  )
  mean, var = run(x)
  assert_close(mean, x.astype(np.float64).mean(0), 1e-6)
  assert_close(var, x.astype(np.float64).var(0), 1e-4)


def test_a_channel_that_is_constant_has_no_negative_variance(tiny):
  moments = {"mean": np.float32(1e7), "var": np.float32(0)}
  twice = jax.tree.map(np.add, *[calibration._moments(moments)] * 2)
  third = jax.tree.map(lambda a: (a + a / 2) / 3, twice)
  assert calibration._statistics(third)["var"] >= 0
