"""Converters fitted again, against the fit of all features at once."""

import dataclasses

import jax
import numpy as np
import pytest

from pwl_jax.evaluation.refit import keep_what_helps, make_refit
from pwl_jax.evaluation.scores import Score
from pwl_jax.method import composition as compositions
from pwl_jax.method.converters import IdentityConverter, OrthogonalConverter
from pwl_jax.method.feature import mask_of, values_of
from pwl_jax.training.accuracy import Batches
from tests.test_scores import normalise, split_of


@pytest.mark.parametrize("converter", ["linear", "orthogonal", "residual"])
@pytest.mark.parametrize(
  "name,devices", [("tiny_resnet", 1), ("tiny_resnet", 4), ("tiny_text", 4)]
)
def test_many_batches_are_fitted_as_one(tiny, name, converter, devices):
  case = tiny(name, converter)
  split, devices = split_of(case), jax.devices()[:devices]
  refit = make_refit(case.swapnet, normalise=normalise, devices=devices)
  batches = Batches(split, batch_size=8, devices=devices)
  found = refit(case.variables, batches)
  x = normalise(split.inputs)
  start = case.swapnet.fit_converters(case.variables, x)
  assert list(found) == [0, 1]
  for i, fitted in found.items():
    module, golden = case.swapnet.converters[i], start[f"boundary{i}"]
    teacher, student = rows_of(case, i, x)
    errors, fresh = (
      errors_of(module, parameters, teacher, student)
      for parameters in (fitted, golden)
    )
    if converter == "residual":  # What is hidden in it is of use.
      assert (errors < 0.9999 * fresh).all()
      own = case.variables["converters"][f"boundary{i}"]
      rows = module.apply(own, teacher, student, method="regressors")
      fresh = errors_of(module, module.refit(own, *rows), teacher, student)
    np.testing.assert_allclose(errors, fresh, rtol=1e-4)


def rows_of(case, i, x):
  """Both features of all examples at once, at the positions that count."""
  teacher, student = (
    getattr(case.swapnet, role).apply(case.variables[role], x).features[i]
    for role in ("teacher", "student")
  )
  mask = mask_of(teacher)
  return [
    values.reshape(-1, values.shape[-1]) if mask is None else values[mask]
    for values in (values_of(teacher), values_of(student))
  ]


def errors_of(module, parameters, teacher, student):
  """What is minimised: of the decoder, and with free maps of the encoder."""
  decoded = module.apply(parameters, student, method="decode")
  errors = [((decoded - teacher) ** 2).mean()]
  if not isinstance(module, OrthogonalConverter):
    encoded = module.apply(parameters, teacher, method="encode")
    errors.append(((encoded - student) ** 2).mean())
  return np.asarray(errors)


def test_without_converters_there_is_nothing_to_fit(tiny):
  case = tiny("tiny_resnet")
  refit = make_refit(
    dataclasses.replace(
      case.swapnet, converters=[IdentityConverter(), IdentityConverter()]
    ),
    normalise=normalise,
    devices=jax.devices()[:1],
  )
  assert refit(case.variables, []) == {}


def test_a_converter_is_kept_where_those_that_cross_it_gain():
  words = compositions.every(3)
  worth = {"old": 0.5, "better": 0.75, "worse": 0.25}

  def score(variables):
    """A composition is as good as the worst converter that it crosses."""
    crossed = {
      word: [i for i in (0, 1) if word[i] != word[i + 1]] for word in words
    }
    return {
      word: Score(
        8,
        min(
          (worth[variables["converters"][f"boundary{i}"]] for i in boundaries),
          default=1.0,
        ),
        None,
        0.0,
      )
      for word, boundaries in crossed.items()
    }

  before = {
    "converters": {"boundary0": "old", "boundary1": "old"},
    "teacher": 1,
  }
  changed, trials = keep_what_helps(
    {0: "worse", 1: "better"}, before, score(before), score
  )
  assert changed["converters"] == {"boundary0": "old", "boundary1": "better"}
  assert changed["teacher"] == 1
  assert before["converters"]["boundary1"] == "old"
  assert [trial.kept for trial in trials] == [False, True]
  assert trials[0].before == 0.5 and trials[0].after == 0.25
  # Two of the four that cross boundary 1 cross boundary 0 as well.
  assert trials[1].before == 0.5 and trials[1].after == 0.625
  same, trials = keep_what_helps({0: "old"}, before, score(before), score)
  assert same is before and not trials[0].kept  # As good is not better.


def test_as_many_right_answers_elsewhere_are_not_better():
  """0.1 + 0.2 is more than 0.3 + 0.0, in floats."""

  def score(variables):
    changed = variables["converters"]["boundary0"] == "new"
    shares = (0.1, 0.2) if changed else (0.3, 0.0)
    words = zip(("ST", "TS"), shares, strict=True)
    return {word: Score(10, share, None, 1.0) for word, share in words}

  before = {"converters": {"boundary0": "old"}}
  same, (trial,) = keep_what_helps({0: "new"}, before, score(before), score)
  assert same is before and not trial.kept


def test_what_makes_no_number_is_not_kept():
  def score(variables):
    broken = variables["converters"]["boundary0"] == "broken"
    loss = float("nan") if broken else 1.0
    return {"ST": Score(8, 1.0 if broken else 0.5, None, loss)}

  before = {"converters": {"boundary0": "old"}}
  same, (trial,) = keep_what_helps({0: "broken"}, before, score(before), score)
  assert same is before and not trial.kept
