"""Compositions against the plain rule, and networks that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.method import composition
from pwl_jax.method.feature import values_of, with_values
from pwl_jax.method.network import Network, apply_unit
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit
from tests.cases import assert_close, trees_equal

TINY = ["tiny_vgg", "tiny_resnet", "tiny_vit", "tiny_text", "tiny_audio"]


def plain_compose(case, word):
  """DESIGN's rule, written out: the letter before decides the converter."""
  networks = {"T": "teacher", "S": "student"}
  feature = case.x
  for i, letter in enumerate(word):
    if i and word[i - 1 : i + 1] in ("TS", "ST"):
      converter = case.variables["converters"][f"boundary{i - 1}"]["params"]
      half = "encoder" if letter == "S" else "decoder"
      values = values_of(feature) @ converter[half]["kernel"]
      feature = with_values(feature, values + converter[half]["bias"])
    role = networks[letter]
    unit = getattr(case.swapnet, role).units[i]
    feature, _ = apply_unit(unit, case.variables[role][f"unit{i}"], feature)
  return feature


@pytest.mark.parametrize("name", TINY)
def test_every_composition_follows_the_plain_rule(tiny, name):
  case = tiny(name, "linear")
  answers = []
  for word in composition.every(case.swapnet.num_units):
    logits = case.logits(case.variables, case.x, word)
    assert_close(logits, plain_compose(case, word), 1e-5)
    answers.append(np.asarray(logits))
  distinct = {a.tobytes() for a in answers}
  assert len(distinct) == len(answers), "compositions must differ to be told"


@pytest.mark.parametrize("name", TINY)
def test_the_pure_compositions_are_the_networks(tiny, name):
  case = tiny(name)
  n = case.swapnet.num_units
  for letter, role in (("T", "teacher"), ("S", "student")):
    network = getattr(case.swapnet, role)
    np.testing.assert_array_equal(
      case.logits(case.variables, case.x, letter * n),
      jax.jit(network.logits)(case.variables[role], case.x),
    )


def test_the_teacher_runs_in_evaluation_mode_even_in_training(tiny):
  case = tiny("tiny_resnet")
  run = case.swapnet.compose
  trained = run(case.variables, case.x, "TTS", train=True)
  plain = run(case.variables, case.x, "TTS")
  for i in (0, 1):
    np.testing.assert_array_equal(trained.features[i], plain.features[i])
  assert (trained.logits != plain.logits).any()
  assert set(trained.batch_stats) == {"unit2"}


@pytest.mark.parametrize("kind", ["linear", "orthogonal", "residual"])
def test_fitted_converters_come_closer_than_drawn_ones(tiny, kind):
  case = tiny("tiny_resnet", kind)
  fitted = case.swapnet.fit_converters(case.variables, case.x)
  structure = jax.tree.structure(case.variables["converters"])
  assert jax.tree.structure(fitted) == structure
  teacher, student = (
    jax.jit(network.apply)(case.variables[role], case.x)
    for role, network in (
      ("teacher", case.swapnet.teacher),
      ("student", case.swapnet.student),
    )
  )

  def error(converters):
    variables = case.variables | {"converters": converters}
    return sum(
      float(jnp.mean((case.swapnet.decode(variables, i, s) - t) ** 2))
      for i, (s, t) in enumerate(
        zip(student.features, teacher.features, strict=True)
      )
    )

  assert error(fitted) < 0.7 * error(case.variables["converters"])


def test_a_pretrained_teacher_is_taken_as_it_is(tiny):
  case = tiny()
  init = jax.jit(case.swapnet.init)
  teacher = case.variables["teacher"]
  variables = init(jax.random.key(1), teacher=teacher)
  assert trees_equal(variables["teacher"], teacher)
  structure = jax.tree.structure(case.variables)
  assert jax.tree.structure(variables) == structure
  for leaf in jax.tree.leaves(variables["student"]):
    assert jnp.isfinite(leaf).all()


def test_one_kind_of_converter_per_boundary():
  swapnet = SwapNet.create(
    *models.create_pair("tiny_vit"), converter=["linear", "orthogonal"]
  )
  kinds = [type(c).__name__ for c in swapnet.converters]
  assert kinds == ["LinearConverter", "OrthogonalConverter"]
  with pytest.raises(ValueError, match=r"1 converters .* 2 boundaries"):
    SwapNet.create(*models.create_pair("tiny_vit"), converter=["linear"])
  with pytest.raises(ValueError, match="'identity' needs equal widths"):
    SwapNet.create(*models.create_pair("tiny_vit"), converter="identity")


def small(widths=(4, 4), image=16, classes=3, **options):
  units = resnet(widths, (1,) * len(widths), num_classes=classes, **options)
  return Network(units, (image, image, 3))


def test_networks_that_do_not_fit_are_refused_with_the_reason():
  cases = [
    (small((4, 4, 4)), "number of units.*teacher has 2.*student 3"),
    (small(first_stride=2), r"boundary 0.*\(16, 16\).*\(8, 8\).*stride"),
    (small(classes=5), r"logits.*\(3,\).*\(5,\).*same classes"),
    (small(image=8), r"input shape.*\(16, 16, 3\).*\(8, 8, 3\)"),
  ]
  for student, message in cases:
    with pytest.raises(ValueError, match=message):
      SwapNet.create(small(), student)


def test_sequences_and_images_do_not_fit():
  a = Network(vgg((4, 4), (1, 1)), (16, 16, 3))
  b = vit(
    width=4, heads=1, mlp_width=4, num_layers=2, layers_per_unit=1, patch=4
  )
  with pytest.raises(ValueError, match="feature shape at boundary 0"):
    SwapNet.create(a, Network(b, (16, 16, 3)))


@pytest.mark.parametrize("word", ["TT", "TTSS", "tts", "T-S"])
def test_a_bad_composition_is_refused(tiny, word):
  case = tiny()
  with pytest.raises(ValueError, match="3 letters"):
    case.swapnet.logits(case.variables, case.x, word)


def test_parts_that_do_not_fit_are_refused(tiny):
  swapnet = tiny().swapnet
  teacher, student = swapnet.teacher, swapnet.student
  for other, converters in (
    (student, swapnet.converters[:1]),
    (Network(student.units[:2], student.input_shape), swapnet.converters),
  ):
    with pytest.raises(ValueError, match="do not fit"):
      SwapNet(teacher, other, converters)
  assert hash(SwapNet(teacher, student, list(swapnet.converters)))


@pytest.mark.parametrize("shape", [(8, 3, 16, 16), (16, 16, 3), (8, 16, 16, 1)])
def test_inputs_of_another_kind_are_refused(tiny, shape):
  case = tiny()
  x = jnp.zeros(shape)
  with pytest.raises(ValueError, match=r"expected \[b, 16, 16, 3\]"):
    case.swapnet.logits(case.variables, x, "TTS")
  with pytest.raises(ValueError, match="channels last"):
    case.swapnet.teacher.logits(case.variables["teacher"], x)


def test_abstract_variables_are_those_that_are_drawn(tiny):
  swapnet = tiny("tiny_resnet").swapnet
  drawn = jax.eval_shape(swapnet.init, jax.random.key(0))
  assert swapnet.abstract_variables() == drawn
