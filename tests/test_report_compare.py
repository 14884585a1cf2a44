"""Several runs: groups of seeds, means and spreads, and the command."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import report_cases
from test_report import read_page

from pwl_jax import workdirs
from pwl_jax.report import __main__ as command
from pwl_jax.report import compare, run
from pwl_jax.training.session import Machine


def make_run(path, units=2, *, seed=0, **config):
  fields = {"seed": seed} | config
  found = report_cases.make_results(units, seed=seed, config=fields)
  path.mkdir()
  return report_cases.write_run(path, found)


def compared(capsys, tmp_path, *runs, code=0):
  assert command.main([str(path) for path in runs]) == code
  text = capsys.readouterr().out
  found = json.loads((tmp_path / "comparison" / "results.json").read_text())
  read_page(tmp_path / "comparison" / "report.html")
  return text, found


def test_means_and_spreads_are_those_of_the_seeds(tmp_path, capsys):
  runs = [make_run(tmp_path / f"r{seed}", seed=seed) for seed in range(3)]
  text, found = compared(capsys, tmp_path, *runs)
  (group,) = found["groups"]
  each = [
    run.read(path).results["networks"]["student_kd"]["test"]["top1"]
    for path in runs
  ]
  values = group["values"]["test.student_kd"]
  assert values["values"] == each and values["n"] == 3
  np.testing.assert_allclose(values["mean"], np.mean(each))
  np.testing.assert_allclose(values["spread"], np.std(each, ddof=1))
  mean, spread = 100 * np.mean(each), 100 * np.std(each, ddof=1)
  assert f"{mean:.2f} % ± {spread:.2f}" in text and "3 runs" in text
  assert found["differing"] == {}


def test_one_run_has_no_spread(tmp_path, capsys):
  runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", cross="all")]
  text, found = compared(capsys, tmp_path, *runs)
  assert [g["values"]["test.teacher"]["spread"] for g in found["groups"]] == [
    None,
    None,
  ]
  assert "one run" in text and "±" not in text.replace("mean ± spread", "")
  assert found["differing"] == {"cross": [None, "all"]}
  assert "cross" in text


def test_fields_that_change_no_result_do_not_part_runs(tmp_path):
  first = make_run(tmp_path / "a", seed=0)
  others = [
    make_run(tmp_path / f"b{i}", seed=i, **{name: "another"})
    for i, name in enumerate(compare.FREE, start=1)
  ]
  groups = compare.group([run.read(path) for path in (first, *others)])
  assert [len(group.runs) for group in groups] == [1 + len(compare.FREE)]


def test_the_fields_that_change_no_result_are_the_pipelines():
  """But for the rhythm of evaluations, which says what can be kept."""
  machine = set(Machine._fields) - {"devices", "evaluate_every"}
  assert set(compare.FREE) == {*workdirs.FREE, *machine, "stages"}


def test_other_data_and_units_are_compared_in_what_they_share(tmp_path, capsys):
  small = make_run(tmp_path / "small", 1)
  large = make_run(tmp_path / "large", 9, **{"data.name": "<other>"})
  bare = tmp_path / "bare"
  bare.mkdir()
  report_cases.write_run(bare, None)
  text, found = compared(capsys, tmp_path, small, large, bare)
  one, other = found["groups"]
  assert one["values"]["planned.at_100"]["mean"] > 0.9
  assert other["values"]["suffix.at_25"]["mean"] > 0.9
  assert "worst_composition" not in one["values"]  # Of S and T alone.
  assert "bare lacks evaluate" in text
  assert one["values"]["test.teacher"]["values"][1] is None


def test_runs_that_were_not_evaluated_are_compared_by_held_out(
  tmp_path, capsys
):
  runs = []
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    runs.append(report_cases.write_run(tmp_path / name, None))
  text, found = compared(capsys, tmp_path, *runs)
  assert found["groups"][0]["values"]["valid.teacher"]["mean"] == 0.93
  assert "held out" in text and "same seed" in text


@pytest.mark.parametrize("share,rung", [(0, 0), (0.3, 0), (0.34, 1), (1, 2)])
def test_accuracy_at_a_share_is_of_the_units_that_are_complete(share, rung):
  found = report_cases.make_results(2, seed=4)  # Units of 1/3 and 2/3.
  climb = compare.findings.climbs(found)["prefix"]
  assert compare.at_share(climb, share) == climb.scores[rung]["top1"]


def test_groups_have_names_of_their_own():
  names = [compare.group_name(i) for i in range(60)]
  assert names[:2] == ["A", "B"] and names[26] == "AA"
  assert len(set(names)) == 60


def test_the_comparison_goes_where_it_is_told(tmp_path, capsys):
  runs = [make_run(tmp_path / name) for name in "ab"]
  out = tmp_path / "deep" / "there"
  assert command.main([*map(str, runs), f"--out={out}"]) == 0
  assert (out / "report.html").exists() and (out / "results.json").exists()
  assert not (tmp_path / "comparison").exists()
  assert str(out / "report.html") in capsys.readouterr().out


def test_workdirs_of_one_name_are_told_apart(tmp_path, capsys):
  runs = []
  for name in "ab":
    (tmp_path / name).mkdir()
    runs.append(make_run(tmp_path / name / "run"))
  out = tmp_path / "out"
  assert command.main([*map(str, runs), f"--out={out}"]) == 0
  page = read_page(out / "report.html")
  assert str(runs[0]) in page.text and str(runs[1]) in page.text


def break_results(text):
  def spoil(path):
    (path / "report" / "results.json").write_text(text)
    return [path]

  return spoil


MISTAKES = {
  "nowhere": (lambda path: [path / "nowhere"], "no directory.*workdir"),
  "empty": (lambda path: [path / "report"], "holds no run"),
  "twice": (lambda path: [path, path], "twice"),
  "out for one": (lambda path: [path, "--out=x"], "comparisons"),
  "damaged": (break_results("{"), "damaged.*stages=evaluate"),
  "newer": (break_results('{"schema": 7}'), "newer.*update"),
}


@pytest.mark.parametrize("arguments,words", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, words):
  path = make_run(tmp_path / "run")
  assert command.main([str(a) for a in arguments(path)]) == 1
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and error.startswith("error: ")
  assert re.search(words, error)


def test_the_command_reports_one_run_without_jax(tmp_path):
  path = make_run(tmp_path / "run")
  code = (
    "import sys, runpy\n"
    f"sys.argv = ['report', {str(path)!r}]\n"
    "try:\n  runpy.run_module('pwl_jax.report', run_name='__main__')\n"
    "except SystemExit as end:\n  assert end.code == 0, end\n"
    "heavy = {'jax', 'flax', 'tensorflow'} & set(sys.modules)\n"
    "assert not heavy, heavy\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert str(path / "report" / "report.html") in done.stdout
  assert "While loading" in done.stdout
