"""Distilling a student that is served rounded: it is trained as it answers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax import export, stages
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.names import flat
from pwl_jax.compress.fake import fake_quantised_network, fake_quantised_units
from pwl_jax.compress.leaves import precision_of, rounded
from pwl_jax.method.losses import hard_loss
from pwl_jax.method.variables import split
from pwl_jax.report.results import read
from pwl_jax.training.artefacts import load_result
from pwl_jax.training.kinds import distill_job
from pwl_jax.training.losses import distillation_loss
from tests import training_cases
from tests.bundle_cases import trained
from tests.cases import assert_close
from tests.tiny_config import get_config

PRECISIONS = ("int4", "int8")  # Of the two units of the cases' student.


def loss_case():
  """A swap network, and the arguments of its loss."""
  swapnet = training_cases.swap_network()
  variables = swapnet.init(jax.random.key(0))
  teacher = variables.pop("teacher")
  params, batch_stats = split(variables)
  x = jax.random.normal(jax.random.key(1), (8, 8, 8, 3))
  targets = jax.nn.one_hot(jnp.arange(8) % 4, 4)
  key = jax.random.key(2)
  return swapnet, params, (batch_stats, {"teacher": teacher}, x, targets, key)


def test_every_unit_is_rounded_as_it_is_stored():
  """But for batch norms, which are folded once they have their statistics."""
  case = trained("tiny_resnet")
  precisions = ("int4", "bfloat16", "int8")
  found = fake_quantised_network(case.variables["student"], precisions)
  for (name, unit), precision in zip(
    case.variables["student"].items(), precisions, strict=True
  ):
    kept, answers = flat(unit), flat(found[name])
    assert kept.keys() == answers.keys()
    for path, leaf in rounded(kept, precision).items():
      is_norm = "/norm/" in path and precision != "bfloat16"
      wanted = kept[path] if is_norm else leaf
      np.testing.assert_array_equal(answers[path], wanted)


@pytest.mark.parametrize(
  "options", [{}, {"cross_mode": "all"}, {"composition": "TS"}]
)
def test_the_loss_is_that_of_the_rounded_student(options):
  swapnet, params, rest = loss_case()

  def found(params, precisions):
    loss = distillation_loss(swapnet, precisions=precisions, **options)
    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params, *rest)

  student = fake_quantised_units(
    params["student"], PRECISIONS, rest[0]["student"]
  )
  # Teacher and converters are not rounded, and gradients pass straight on.
  wanted = found({**params, "student": student}, ())
  jax.tree.map(
    lambda a, b: assert_close(a, b, 1e-6), found(params, PRECISIONS), wanted
  )
  whole = found(params, ())
  assert abs(whole[0][0] - wanted[0][0]) > 1e-4


def test_in_float32_the_program_is_what_it_was():
  swapnet, params, rest = loss_case()

  def program(precisions):
    loss = distillation_loss(swapnet, precisions=precisions)
    return str(jax.make_jaxpr(jax.grad(loss, has_aux=True))(params, *rest))

  assert program(("float32",) * 2) == program(())
  assert program(("float32", "int8")) != program(())


def test_a_precision_for_each_unit_is_needed():
  _, params, _ = loss_case()
  with pytest.raises(ValueError, match=r"1 precisions.* of 2 units"):
    fake_quantised_units(params["student"], ("int8",))


def test_the_job_keeps_float32_and_answers_rounded(tmp_path):
  swapnet = training_cases.swap_network()
  precisions = ("int4", "int4")  # So that what is rounded answers otherwise.
  job = distill_job(
    "distill",
    swapnet,
    swapnet.teacher.init(jax.random.key(5)),
    fit_converters=False,
    precisions=precisions,
  )
  result = training_cases.run(job, tmp_path)
  kept = training_cases.made_by(tmp_path, job)["student"]
  data = training_cases.data()
  valid = data.dataset.valid

  def loss(student):
    inputs = data.normalise(jnp.asarray(valid.inputs))
    logits = swapnet.student.logits(student, inputs)
    return float(hard_loss(logits, valid.labels).mean())

  answers = fake_quantised_network(kept, precisions)
  assert result["valid"]["loss"] == pytest.approx(loss(answers), rel=1e-5)
  assert abs(loss(answers) - loss(kept)) > 1e-3


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  """Of a run whose student was distilled for few bits."""
  workdir = tmp_path_factory.mktemp("run") / "run"
  stages.run(config_of("int4,int8,float32"), workdir)
  return workdir


def config_of(precision, names="teacher,distill,evaluate,export"):
  config = get_config()
  config.stages, config.student_precision = names, precision
  config.export.platforms = ("cpu",)
  # All as it was trained: an export fits converters once more otherwise.
  config.evaluation.calibration_images = 0
  return config


def accuracies(manifest):
  return {word: c.valid for word, c in manifest.compositions.items()}


def test_it_is_served_as_it_was_trained_and_evaluated(workdir):
  found = manifests.read(workdir / "bundle")
  assert [stored_as(found, i) for i in range(3)] == ["int4", "int8", "float32"]
  valid = load_result(workdir / "distill")["valid"]["accuracy"]
  scores = read(workdir / "report" / "results.json")["compositions"]
  for word, composition in found.compositions.items():
    assert composition.valid == scores[word]["valid"]["top1"]
  assert found.compositions["SSS"].valid == pytest.approx(valid)


def stored_as(manifest, i):
  leaves = manifest.pieces[f"student/unit{i}"].leaves
  return precision_of({name: leaf.dtype for name, leaf in leaves.items()})


def test_another_bundle_is_for_the_same_precision(workdir, capsys):
  command = [f"--workdir={workdir}", "--teacher=int8", "--fit_examples=20"]
  assert export.main(command) == 0
  assert "scales of teacher/unit0, teacher/" in capsys.readouterr().out
  found = manifests.read(workdir / "bundle-int4_int8_float32-int8")
  own = manifests.read(workdir / "bundle")
  for i in range(3):
    name = f"student/unit{i}"
    assert found.pieces[name].leaves == own.pieces[name].leaves
  assert export.main([f"--workdir={workdir}", "--student=float32"]) == 0
  found = manifests.read(workdir / "bundle-float32-float32")
  assert stored_as(found, 0) == "float32"
  assert export.main([f"--workdir={workdir}", "--fit_examples=20"]) == 0
  assert "no scales to fit" in capsys.readouterr().out


def test_a_student_belongs_to_its_precision(workdir):
  with pytest.raises(
    ValueError, match=r"student_precision: 'int4,int8,float32' there, 'int8'"
  ):
    stages.run(config_of("int8"), workdir)


def test_what_is_older_than_the_field_was_not_rounded(tmp_path):
  stages.run(config_of("float32", "teacher,distill"), tmp_path)
  path = tmp_path / "distill" / "config.json"
  assert "student_precision" not in json.loads(path.read_text())
  stages.run(config_of("float32", "distill"), tmp_path)
  with pytest.raises(ValueError, match="'float32' there, 'int8' now"):
    stages.run(config_of("int8", "distill"), tmp_path)
