"""What a workdir holds: evaluated or not, and whether results are of it."""

import json
import shutil

import pytest
from report_cases import make_results
from report_page import read_page
from report_runs import write_run, write_stage

from pwl_jax.report import run, write_report


def test_a_run_that_was_not_evaluated_shows_what_it_has(tmp_path):
  page = read_page(write_report(write_run(tmp_path, None)))
  assert "evaluate" in page.text and "--config.stages=evaluate" in page.text
  assert "93.00" in page.text and "held-out examples" in page.text
  assert (tmp_path / "report" / "curves.png").exists()
  assert not (tmp_path / "report" / "lattice.png").exists()


def test_a_run_in_training_has_a_report_of_its_whole_lines(tmp_path):
  write_stage(tmp_path, "teacher")
  (tmp_path / "teacher" / "result.json").unlink()
  lines = tmp_path / "teacher" / "metrics.jsonl"
  lines.write_text(
    lines.read_text() + '{"step": 650, "loss": NaN, "accuracy": 0.9}\n'
    '[1]\n{"step": 700, "loss": 0.'
  )
  page = read_page(write_report(tmp_path))
  assert "step 650" in page.text and "step 700" not in page.text
  assert "begun, at step 650 when it last reported, but is not" in page.text
  assert (
    "distill: The stage was not run; --config.stages=teacher,distill,evaluate "
    "makes it." in page.text
  )


def spoil(path, **fields):
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def anew(workdir):
  spoil(workdir / "distill" / "result.json", digest="another")


def in_training(workdir):
  (workdir / "distill" / "result.json").unlink()


def without_arrays(workdir):
  (workdir / "distill" / "variables").rmdir()


def interrupted(workdir):
  (workdir / "evaluate" / "result.json").unlink()


def of_others(workdir):
  spoil(workdir / "evaluate" / "result.json", of={"stages": {"teacher": "x"}})


def taught_by_another(workdir):
  path = workdir / "distill" / "config.json"
  path.write_text(json.dumps({"teacher.digest": "another"}))


def damaged(workdir):
  (workdir / "distill" / "result.json").write_text("[" * 10**5)


CHANGES = {
  anew: "evaluation of this distill. distill was made anew",
  in_training: "distill, as evaluated. Complete then and not now",
  without_arrays: "distill, as evaluated. Complete then and not now",
  damaged: "distill, as evaluated. Complete then and not now",
  taught_by_another: "distill, as evaluated. Complete then and not now",
  interrupted: "evaluation. It is not complete",
  of_others: "evaluation. evaluate/ is of other stages",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_results_that_are_not_of_what_is_there_are_said_to_be(tmp_path, change):
  write_run(tmp_path, make_results(1))
  assert run.read(tmp_path).results["absent"] == {}
  change(tmp_path)
  absent = run.read(tmp_path).results["absent"]
  found = [f"{name}. {why}" for name, why in absent.items()]
  assert len(found) == 1 and found[0].startswith(CHANGES[change])
  assert "--config.stages=evaluate" in found[0]


@pytest.mark.parametrize("stage", ["student_plain", "distill"])
def test_a_stage_that_came_after_the_evaluation_is_named(tmp_path, stage):
  found = make_results(1)
  del found["stages"][stage]
  found["absent"][stage] = "The stage was not run."
  write_run(tmp_path, found)
  absent = run.read(tmp_path).results["absent"]
  assert absent == {
    stage: "Trained after the evaluation; the same command with "
    "--config.stages=evaluate measures it."
  }
  shutil.rmtree(tmp_path / stage)
  absent = run.read(tmp_path).results["absent"]
  assert absent == {stage: "The stage was not run."}


def test_a_stage_of_another_teacher_stays_absent(tmp_path):
  found = make_results(1)
  del found["stages"]["distill"]
  found["absent"]["distill"] = "It was trained with another teacher."
  taught_by_another(write_run(tmp_path, found))
  assert run.read(tmp_path).results["absent"] == found["absent"]
  (tmp_path / "report" / "results.json").unlink()
  bare = run.read(tmp_path).results
  assert "another teacher" in bare["absent"]["distill"]
  assert "student" not in bare["networks"]


def test_results_that_were_copied_stand_for_themselves(tmp_path):
  write_run(tmp_path / "run", make_results(1))
  shutil.copytree(tmp_path / "run" / "report", tmp_path / "copy" / "report")
  assert run.read(tmp_path / "copy").results["absent"] == {}


@pytest.mark.parametrize(
  "fields",
  [
    {"valid": [1]},
    {"valid": {"accuracy": "x", "loss": "x"}},
    {"valid": {"accuracy": 7}},
    {"steps": "x", "seconds": "x", "digest": 3},
    {"seconds": None, "valid": {"accuracy": 0.5, "loss": None}},
  ],
)
def test_a_damaged_result_of_a_stage_is_taken_for_unknown(tmp_path, fields):
  write_run(tmp_path, None)
  for stage in ("teacher", "distill"):
    spoil(tmp_path / stage / "result.json", **fields)
  read_page(write_report(tmp_path))
