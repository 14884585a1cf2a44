"""The pipeline: every stage from start to end, again, and with mistakes."""

import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from pwl_jax import stages, trained, workdirs
from pwl_jax.interop import load_network
from pwl_jax.method import composition as compositions
from pwl_jax.report.results import read
from pwl_jax.training.artefacts import (
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.parallel import sharding
from tests.cases import trees_equal
from tests.tiny_config import get_config

ROOT = pathlib.Path(__file__).parents[1]
LENET = ROOT / "tests" / "fixtures" / "reference" / "lenet5"


def test_every_stage_once_and_not_again(tmp_path, capsys):
  config = get_config()
  stages.run(config, tmp_path)
  printed = capsys.readouterr().out
  for name in trained.TRAININGS:
    result = load_result(tmp_path / name)
    assert result["steps"] == 3 and 0 <= result["valid"]["accuracy"] <= 1
    assert f"{name}: " in printed
  results = read(tmp_path / "report" / "results.json")
  assert list(results["compositions"]) == compositions.every(3)
  assert not results["absent"] and len(results["networks"]) == 4
  assert f"{tmp_path}/report/report.html" in printed
  made = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
  stages.run(config, tmp_path)
  assert capsys.readouterr().out.count("complete") == len(
    config.stages.split(",")
  )
  assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == made


@pytest.mark.parametrize("cross", ["per_batch", "all"])
def test_the_other_ways_to_cross(tmp_path, cross):
  config = get_config()
  config.cross = cross
  config.stages = "teacher,distill"
  stages.run(config, tmp_path)
  assert is_complete(tmp_path / "distill")


def mistaken(changes):
  config = get_config()
  config.update_from_flattened_dict(changes)
  return config


@pytest.mark.parametrize(
  "changes,message",
  [
    ({"stages": "teach"}, "unknown stage 'teach'.*'teacher'"),
    ({"stages": "teacher,teacher"}, "names one twice"),
    ({"stages": "distill"}, "--config.stages=teacher,distill"),
    ({"cross": "mixd"}, "did you mean 'mixed'"),
    ({"student_precision": "int3"}, r"config\.student_precision: .* 'int8'"),
    ({"student_precision": "int8,int4"}, r"precision: .* has 3 units"),
    ({"parallel": "pmp"}, "did you mean 'pmap'"),
    ({"cross": "per_batch", "steps_per_call": 3}, "set steps_per_call to 1"),
    ({"steps_per_call": 2}, "does not divide the 3 steps"),
    ({"log_every": 0}, "log_every is 0"),
    ({"data.name": "synthetic:60x4x4x1/10"}, "image is too small"),
    ({"data.valid_share": 0.0}, "valid_share"),
    ({"data.mean": (0.5,)}, r"data\.deviation is \(\), but .* 1 channels"),
    ({"data.mean": (0.5,) * 3, "data.deviation": (1.0,)}, r"give 1 numbers"),
    ({"data.mean": (0.5,), "data.deviation": (0.0,)}, "have to be above 0"),
    ({"augment.cutout": -2}, r"augment\.cutout is -2"),
    ({"augment.mixup_alpha": -1.0}, r"augment\.mixup_alpha is -1"),
    ({"objective.sampler": "prefix", "distill.batch_size": 8}, "1 examples"),
    ({"augment.crop": 8}, "too small for a crop border of 8"),
    ({"distill.batch_size": 25}, "batch of 25"),
    ({"distill.batch_size": 0}, "batch of 0"),
    ({"distill.batch_size": 640}, "640 cannot be taken from 54"),
    ({"distill.optimizer": "adam"}, "did you mean 'adamw'"),
    ({"distill.warmup_epochs": 9.0}, "warm-up steps do not fit"),
    ({"distill.accumulate": 4}, "accumulate is 4"),
    ({"distill.keep": "first"}, "keep 'first'"),
    ({"student.learning_rate": 0.0}, "learning_rate is 0"),
    ({"teacher.ema_decay": 1.0}, "ema_decay is 1.0"),
    ({"objective.temperature": 0.0}, "temperature"),
    ({"objective.sampler": "papr"}, "did you mean 'paper'"),
    ({"evaluation.calibration_images": -1}, "calibration_images is -1"),
    ({"evaluation.memory_budget": 9}, "smallest composition takes"),
    ({"stages": "evaluate"}, "nothing to evaluate"),
    ({"imported.trains": "nothing"}, "imported.path is empty"),
    ({"imported.path": "/nowhere"}, "/nowhere does not exist"),
    ({"imported.path": str(LENET)}, "units"),
  ],
)
def test_mistakes_are_told_before_anything_is_written(
  tmp_path, changes, message
):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    stages.run(mistaken(changes), tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_a_stage_belongs_to_one_config(tmp_path):
  """Fields that it does not read may change; those of others come later."""
  config = get_config()
  config.stages = "teacher"
  stages.run(config, tmp_path)
  config.update(log_every=7, stages="teacher,student_plain")
  config.distill.epochs = 2
  stages.run(config, tmp_path)
  config.stages = "distill"
  for field, message in (
    ("teacher.epochs", r"teacher belongs.*\n  teacher\.epochs: 1 there, 2 now"),
    ("seed", r"seed: 0 there, 2 now"),
  ):
    with pytest.raises(ValueError, match=message):
      changed = config.copy_and_resolve_references()
      changed.update_from_flattened_dict({field: 2})
      stages.run(changed, tmp_path)
  assert not (tmp_path / "distill").exists()
  stages.run(config, tmp_path)
  assert load_result(tmp_path / "distill")["steps"] == 6


def test_what_was_begun_with_another_teacher_does_not_go_on(tmp_path):
  config = get_config()
  config.stages = "teacher,student_kd"
  stages.run(config, tmp_path)
  (tmp_path / "student_kd" / "result.json").unlink()  # As if it was killed.
  (tmp_path / "teacher").rename(tmp_path / "old")
  config.teacher.learning_rate = 0.01
  with pytest.raises(ValueError, match=r"teacher\.digest: '\w+' there, '\w+'"):
    stages.run(config, tmp_path)


def test_only_one_run_at_a_time_works_in_a_workdir(tmp_path):
  with (
    workdirs.locked(tmp_path),
    pytest.raises(ValueError, match="another run is at work"),
    workdirs.locked(tmp_path),
  ):
    pass
  with workdirs.locked(tmp_path):
    pass  # Free again.


def test_a_damaged_config_is_named(tmp_path):
  (tmp_path / "teacher").mkdir()
  (tmp_path / "teacher" / "config.json").write_text("{")
  with pytest.raises(ValueError, match=r"teacher/config\.json is damaged"):
    stages.run(get_config(), tmp_path)


def test_other_data_under_the_same_name_is_noticed(tmp_path):
  images = np.zeros((60, 8, 8, 1), np.uint8)
  labels = np.arange(60) % 10
  path = tmp_path / "mine.npz"
  np.savez(path, x=images, y=labels)
  config = get_config()
  config.data.name, config.stages = f"arrays:{path}", "teacher"
  stages.run(config, tmp_path / "run")
  np.savez(path, x=images, y=labels[::-1])
  with pytest.raises(ValueError, match=r"data\.fingerprint"):
    stages.run(config, tmp_path / "run")


def lenet_config(classes, trains):
  config = get_config()
  config.data.name = f"synthetic:60x32x32x3/{classes}"
  config.model.preset = "lenet5"
  config.imported.update(path=str(LENET), trains=trains)
  config.stages = "teacher"
  return config


def test_a_teacher_that_exists_is_taken_as_it_is(tmp_path):
  stages.run(lenet_config(10, "nothing"), tmp_path / "a")
  result = load_result(tmp_path / "a" / "teacher")
  assert result["steps"] == 0 and "accuracy" in result["valid"]
  network, golden = load_network(LENET)
  assert trees_equal(golden, teacher_of(tmp_path / "a", network))
  config = lenet_config(10, "nothing")  # One of ours is taken the same way.
  config.imported.path = str(tmp_path / "a" / "teacher")
  stages.run(config, tmp_path / "b")
  assert trees_equal(golden, teacher_of(tmp_path / "b", network))
  config.imported.path = str(tmp_path / "a")
  with pytest.raises(ValueError, match=r"is a workdir.*/a/teacher"):
    stages.run(config, tmp_path / "c")
  config = lenet_config(3, "head")
  config.imported.path = str(tmp_path / "a" / "teacher")
  stages.run(config, tmp_path / "d")  # With a new head.
  assert load_result(tmp_path / "d" / "teacher")["num_classes"] == 3


def teacher_of(workdir, network):
  """The variables that a teacher stage left."""
  shapes = placed(
    {"teacher": network.abstract_variables()}, sharding(jax.devices()[:1])
  )
  return load_variables(workdir / "teacher", shapes)["teacher"]


@pytest.mark.parametrize("trains", ["all", "head"])
def test_a_teacher_of_other_classes_gets_a_new_head(tmp_path, trains):
  config = lenet_config(3, trains)
  stages.run(config, tmp_path)
  assert load_result(tmp_path / "teacher")["steps"] == 3
  with pytest.raises(ValueError, match="its head is new"):
    stages.run(lenet_config(3, "nothing"), tmp_path / "b")


@pytest.mark.parametrize(
  "arguments,message",
  [
    (["--config=configs/digits.py", "--config.stages=teachr"], "'teacher'"),
    (["--config=configs/digits.py", "--config.distil.epochs=2"], '"distill"'),
    (["--config=configs/digits.py", "--config.distill.epoch=2"], '"epochs"'),
    (["--config=configs/digit.py"], "No such file.*digit.py"),
  ],
)
def test_mistakes_on_the_command_line_are_one_message(
  tmp_path, arguments, message
):
  command = [sys.executable, "-m", "pwl_jax.main", *arguments]
  done = subprocess.run(
    [*command, f"--workdir={tmp_path / 'run'}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
  assert re.search(message, done.stderr)
  assert not (tmp_path / "run").exists()
