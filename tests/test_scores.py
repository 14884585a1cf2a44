"""Scores of compositions, against one composition after the other."""

import functools
import itertools

import jax
import numpy as np
import pytest

from pwl_jax.data.dataset import Split
from pwl_jax.evaluation.cost import measure_costs, size
from pwl_jax.evaluation.scores import Score, check_finite, make_scorer
from pwl_jax.method import composition as compositions
from pwl_jax.training.accuracy import Batches, make_evaluator
from tests.cases import draw_inputs


def split_of(case, count=21):
  """Pixels, or the tokens of texts of different lengths."""
  rng, network = np.random.default_rng(3), case.swapnet.teacher
  if network.input_dtype == "int32":
    inputs = draw_inputs(rng, network, count)
  else:
    shape = (count, *network.input_shape)
    inputs = rng.integers(0, 256, shape, np.uint8)
  labels = rng.integers(0, network.num_classes, count)
  return Split(inputs, labels.astype(np.int32))


def normalise(raw):
  return raw if raw.dtype == np.int32 else raw / 128.0 - 1


@pytest.mark.parametrize(
  "name,devices", [("tiny_resnet", 1), ("tiny_resnet", 8), ("tiny_text", 4)]
)
def test_all_at_once_equals_one_by_one(tiny, name, devices):
  case = tiny(name)
  split, words = split_of(case), compositions.every(3)
  devices = jax.devices()[:devices]
  batches = Batches(split, batch_size=8, devices=devices)
  score = make_scorer(case.swapnet, words, normalise=normalise, devices=devices)
  found = score(case.variables, batches)
  assert list(found) == words
  alone = Batches(split, batch_size=8, devices=jax.devices()[:1])
  for word in words:
    evaluate = make_evaluator(
      lambda v, x, word=word: case.swapnet.logits(v, normalise(x), word), alone
    )
    plain = evaluate(case.variables)
    assert found[word].top1 == plain["accuracy"]
    np.testing.assert_allclose(found[word].loss, plain["loss"], rtol=1e-5)
    if case.swapnet.teacher.num_classes <= 5:
      assert found[word].top5 is None
      continue
    logits = case.logits(case.variables, normalise(split.inputs), word)
    best = np.argsort(-np.asarray(logits), axis=-1, kind="stable")[:, :5]
    assert found[word].top5 == (best == split.labels[:, None]).any(1).mean()


def test_what_is_no_number_is_no_right_answer(tiny):
  case = tiny("tiny_resnet")
  broken = jax.tree.map(lambda leaf: leaf * np.nan, case.variables["student"])
  variables = {**case.variables, "student": broken}
  devices = jax.devices()[:1]
  batches = Batches(split_of(case), batch_size=8, devices=devices)
  score = make_scorer(
    case.swapnet, ["SSS", "TTT"], normalise=normalise, devices=devices
  )
  found = score(variables, batches)
  assert found["SSS"].top1 == found["SSS"].top5 == 0
  assert found["TTT"] == score(case.variables, batches)["TTT"]
  with pytest.raises(ValueError, match=r"^SSS of this run answers with"):
    check_finite(found, "this run")


def test_intervals_hold_the_truth_as_often_as_they_say():
  rng = np.random.default_rng(0)
  for truth, n in itertools.product((0.1, 0.5, 0.99), (50, 2000)):
    drawn = rng.binomial(n, truth, 4000) / n
    bounds = [Score(n, float(p), None, 0.0).interval for p in drawn]
    held = np.mean([low <= truth <= high for low, high in bounds])
    assert 0.91 < held < 0.985
  assert Score(10, 1.0, None, 0.0).interval[1] == pytest.approx(1)
  assert Score(10, 0.0, None, 0.0).interval[0] == pytest.approx(0)


@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_text", "tiny_audio"])
def test_costs_add_up(tiny, name):
  swapnet = tiny(name).swapnet
  costs = measure_costs(swapnet)
  variables = swapnet.abstract_variables()
  for word, role in (("TTT", "teacher"), ("SSS", "student")):
    assert costs.of(word).bytes == size(variables[role])
  assert costs.of("TTT").flops > 2 * costs.of("SSS").flops > 0
  mixed = costs.of("TSS")
  parts = [
    costs.units["T"][0],
    costs.conversions["S"][0],
    costs.units["S"][1],
    costs.units["S"][2],
  ]
  assert mixed == functools.reduce(lambda a, b: a + b, parts)
  assert costs.conversions["S"][0].bytes == size(
    variables["converters"]["boundary0"]
  )
