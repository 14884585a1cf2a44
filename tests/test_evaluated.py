"""The stage that evaluates: whatever is there, and anew when that changed."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from rich.console import Console

from pwl_jax import evaluated, stages, trained
from pwl_jax.bundle import manifest as manifests
from pwl_jax.data.dataset import Split
from pwl_jax.evaluation import improvements, progress
from pwl_jax.method import composition as compositions
from pwl_jax.method.variables import count_parameters
from pwl_jax.report.results import read
from pwl_jax.training.accuracy import Batches, make_evaluator
from pwl_jax.training.artefacts import is_complete, load_result
from pwl_jax.training.interruption import Interrupted, Request
from tests.cases import trees_equal
from tests.tiny_config import get_config


def run(workdir, names, **changes):
  config = get_config()
  config.stages = names
  config.update_from_flattened_dict(changes)
  stages.run(config, workdir)
  return config


def context_of(config, workdir):
  return stages.make_context(config, workdir, Console(quiet=True), Request())


def results_of(workdir):
  return read(workdir / "report" / "results.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run of every stage, in which everything is tried."""
  workdir = tmp_path_factory.mktemp("run")
  changes = {
    "evaluation.refit_images": 40,
    "evaluation.memory_budget": 100_000,
    "teacher.epochs": 4,
    "distill.epochs": 4,
  }
  config = run(
    workdir, "teacher,student_plain,student_kd,distill,evaluate", **changes
  )
  return context_of(config, workdir), results_of(workdir)


def test_what_is_stored_answers_as_it_was_measured(whole):
  """Composition by composition, from the files alone."""
  context, results = whole
  made = {
    **trained.variables(context, "teacher"),
    **trained.variables(context, "distill"),
  }
  stored = improvements.load(
    context.workdir / "evaluate",
    context.swapnet,
    context.session.machine.devices,
  )
  session = context.session
  for split in ("valid", "test"):
    batches = session.evaluation(getattr(session.data.dataset, split))
    for word, found in results["compositions"].items():
      evaluate = make_evaluator(
        lambda v, x, word=word: context.swapnet.logits(
          v, session.data.normalise(x), word
        ),
        batches,
      )
      plain = evaluate(stored.applied(made, word))
      assert found[split]["top1"] == plain["accuracy"]
      np.testing.assert_allclose(found[split]["loss"], plain["loss"], rtol=1e-4)
      assert found["calibrated"] == (word in stored.calibrated)
  for word, role in (("SSS", "student"), ("TTT", "teacher")):
    assert trees_equal(stored.applied(made, word)[role], made[role])


def test_results_add_up(whole):
  context, results = whole
  swapnet, networks = context.swapnet, results["networks"]
  assert networks["teacher"]["test"] == results["compositions"]["TTT"]["test"]
  assert networks["student"]["test"] == results["compositions"]["SSS"]["test"]
  for role in ("teacher", "student"):
    shapes = swapnet.abstract_variables()[role]
    assert networks[role]["parameters"] == count_parameters(shapes)
    assert networks[role]["bytes"] == sum(
      u[role]["bytes"] for u in results["units"]
    )
  planned = results["ladders"]["planned"]
  for name in ("prefix", "suffix"):
    other = results["ladders"][name]["valid"]
    assert planned["valid"]["worst_step"] <= other["worst_step"]
  assert planned["loaded_bytes"][-1] == networks["teacher"]["bytes"]
  best = results["compositions"][results["budget"]["composition"]]
  fitting = [
    found
    for found in results["compositions"].values()
    if found["bytes"] <= 100_000
  ]
  assert best["bytes"] <= 100_000
  assert best["valid"]["top1"] == max(f["valid"]["top1"] for f in fitting)
  kept = [w for w, f in results["compositions"].items() if f["calibrated"]]
  assert results["calibration"]["kept"] == len(kept)
  for word in kept:
    found = results["compositions"][word]
    own = found["uncalibrated"]["valid"]
    assert found["valid"]["top1"] > own["top1"]
  assert [t["boundary"] for t in results["refit"]["boundaries"]] == [0, 1]
  assert results["families"]["prefix"] == compositions.prefix(3)


NETWORKS = {
  "teacher": "teacher",
  "student_plain": "student_plain",
  "student_kd": "student_kd",
  "distill": "student",
}


@pytest.mark.parametrize(
  "there", [("teacher",), ("student_plain",), ("teacher", "distill")]
)
def test_what_is_absent_is_said(tmp_path, there):
  run(tmp_path, ",".join((*there, "evaluate")))
  results = results_of(tmp_path)
  assert list(results["networks"]) == [NETWORKS[name] for name in there]
  words = compositions.every(3) if "distill" in there else []
  assert list(results["compositions"]) == words
  absent = [name for name in NETWORKS if name not in there]
  assert list(results["absent"]) == absent
  page = (tmp_path / "report" / "report.html").read_text()
  for name in absent:
    names = f"{name},evaluate"
    if name in ("student_kd", "distill") and "teacher" in absent:
      names = f"teacher,{names}"
    assert f" --config.stages={names} " in results["absent"][name]
    assert f"--config.stages={names}" in page


def test_a_student_whose_teacher_has_gone(tmp_path, capsys):
  run(tmp_path, "teacher,distill,evaluate")
  before = results_of(tmp_path)["compositions"]["SSS"]
  (tmp_path / "teacher").rename(tmp_path / "away")
  config = run(tmp_path, "evaluate")
  results = results_of(tmp_path)
  assert list(results["compositions"]) == ["SSS"]
  assert results["compositions"]["SSS"] == before
  assert "teacher" in results["absent"] and not results["ladders"]
  found = improvements.load(
    tmp_path / "evaluate",
    context_of(config, tmp_path).swapnet,
    jax.devices()[:1],
  )
  assert found == improvements.NOTHING
  capsys.readouterr()
  run(tmp_path, "teacher", **{"teacher.learning_rate": 0.01})
  printed = capsys.readouterr().out
  assert "--config.stages=student_plain,student_kd,distill,evaluate" in printed
  run(tmp_path, "evaluate", **{"teacher.learning_rate": 0.01})
  assert "another teacher" in results_of(tmp_path)["absent"]["distill"]


def test_it_is_made_anew_when_what_it_measures_changed(tmp_path):
  run(tmp_path, "teacher,evaluate")
  made = load_result(tmp_path / "evaluate")
  run(tmp_path, "teacher,evaluate", log_every=3)
  assert load_result(tmp_path / "evaluate") == made
  run(tmp_path, "evaluate,student_plain")
  assert load_result(tmp_path / "evaluate") == made  # It came first.
  run(tmp_path, "evaluate")
  assert load_result(tmp_path / "evaluate") != made
  assert list(results_of(tmp_path)["networks"]) == ["teacher", "student_plain"]


@pytest.mark.parametrize(
  "lost", ["report/results.json", "evaluate/variables", "evaluate/result.json"]
)
def test_what_is_lost_or_damaged_is_made_anew(whole, tmp_path, lost):
  workdir = tmp_path / "copy"
  shutil.copytree(whole[0].workdir, workdir)
  before = results_of(workdir)
  if lost == "evaluate/variables":
    shutil.rmtree(workdir / lost)
  else:
    (workdir / lost).write_text("{")
  if lost == "report/results.json":
    (workdir / lost).unlink()
  assert not evaluated.is_current(context_in(whole, workdir), "evaluate")
  evaluated.run(context_in(whole, workdir), "evaluate")
  assert evaluated.is_current(context_in(whole, workdir), "evaluate")
  assert results_of(workdir) == before


def context_in(whole, workdir, **changes):
  return dataclasses.replace(whole[0], workdir=workdir, **changes)


def test_a_page_and_a_budget_cost_no_measurement(whole, tmp_path):
  workdir = tmp_path / "copy"
  shutil.copytree(whole[0].workdir, workdir)
  (workdir / "report" / "report.html").unlink()
  context = context_in(whole, workdir, memory_budget=20_000)
  assert evaluated.is_current(context, "evaluate")
  evaluated.show(context)
  assert (workdir / "report" / "report.html").exists()
  found = results_of(workdir)
  assert found["budget"]["bytes"] == 20_000
  size = found["compositions"][found["budget"]["composition"]]["bytes"]
  assert size <= 20_000
  assert {**found, "budget": None} == {**whole[1], "budget": None}


def test_damage_is_named_with_what_to_do(whole, tmp_path):
  workdir = tmp_path / "copy"
  shutil.copytree(whole[0].workdir, workdir)
  (workdir / "teacher" / "result.json").write_text("[]")
  with pytest.raises(
    ValueError, match=r"teacher/result\.json is damaged.*move"
  ):
    trained.read_by(context_in(whole, workdir), "distill")
  context = context_in(whole, tmp_path / "new")
  context.workdir.mkdir()
  (context.workdir / "report").write_text("")
  with pytest.raises(ValueError, match="report is no directory"):
    evaluated.check(context, "evaluate", ["teacher"])


def test_a_log_hears_of_long_measurements(monkeypatch, capsys):
  monkeypatch.setattr(progress, "QUIET", -1)
  split = Split(np.zeros((5, 2, 2, 1), np.uint8), np.zeros(5, np.int32))
  batches = Batches(split, batch_size=2, devices=jax.devices()[:1])
  watch = progress.make_watch("evaluate", Console(), Request())
  assert len(list(watch("all of it")(batches))) == 3
  told = capsys.readouterr().out.splitlines()
  assert told[0] == "evaluate: all of it"
  assert told[-1] == "evaluate: all of it, 3/3"


def test_a_bundle_of_what_was_evaluated(tmp_path, capsys):
  """Written once, and anew when what it is made of has changed."""
  with pytest.raises(ValueError, match=r"stages=teacher,distill,evaluate"):
    run(tmp_path, "export")
  run(tmp_path, "teacher,distill,evaluate")
  everything = "student_plain,student_kd,evaluate,export"
  run(tmp_path, everything, **{"export.platforms": ("cpu",)})
  bundle = tmp_path / "bundle"
  assert f"pwl_jax.play --bundle={bundle}" in capsys.readouterr().out
  manifest = manifests.read(bundle)
  measured = results_of(tmp_path)
  for word, found in measured["compositions"].items():
    assert manifest.compositions[word].test == found["test"]["top1"]
    assert manifest.compositions[word].nbytes == found["bytes"]
  assert list(manifest.ladder) == measured["ladders"]["planned"]["rungs"]
  written = (bundle / "manifest.json").stat().st_mtime_ns
  run(tmp_path, "export", **{"export.platforms": ("cpu",)})
  assert (bundle / "manifest.json").stat().st_mtime_ns == written
  run(
    tmp_path,
    "export",
    **{"export.platforms": ("cpu",), "export.format": "safetensors"},
  )
  assert manifests.read(bundle).store == "safetensors"
  with pytest.raises(ValueError, match=r"unknown export\.format 'zip'"):
    run(tmp_path, "export", **{"export.format": "zip"})


def test_it_measures_what_was_trained_with_this_config(tmp_path):
  run(tmp_path, "teacher")
  with pytest.raises(ValueError, match="seed: 0 there, 2 now"):
    run(tmp_path, "evaluate", seed=2)
  assert not (tmp_path / "report").exists()


def test_it_ends_when_it_is_asked_to_and_begins_anew(tmp_path, monkeypatch):
  config = run(tmp_path, "teacher")
  context = context_of(config, tmp_path)
  context.session.request.name = "SIGTERM"
  with pytest.raises(Interrupted, match="SIGTERM in evaluate: teacher"):
    stages.run_stage("evaluate", context)
  assert not is_complete(tmp_path / "evaluate")
  run(tmp_path, "evaluate")
  assert is_complete(tmp_path / "evaluate")
