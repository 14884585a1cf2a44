"""The command: what it writes where, and what it refuses in one line."""

import re
import subprocess
import sys

import pytest
from report_page import compared, read_page
from report_runs import make_run

from pwl_jax.report import __main__ as command
from pwl_jax.report import places


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


def in_run(name):
  def arguments(path):
    other = make_run(path.parent / "other")
    return [path, other, f"--out={path / name}"]

  return arguments


def taken(path):
  out = path.parent / "out"
  out.mkdir()
  (out / "results.json").write_text('{"schema": 1}')
  return [path, make_run(path.parent / "other"), f"--out={out}"]


def file(path):
  (path.parent / "out").write_text("")
  other = make_run(path.parent / "other")
  return [path, other, f"--out={path.parent / 'out'}"]


def default_is_a_run(path):
  run = make_run(path.parent / "comparison")
  return [path, run]


def only_comparisons(path):
  compared = path.parent / "comparison"
  compared.mkdir()
  (compared / "results.json").write_text('{"groups": []}')
  return [compared]


MISTAKES = {
  "nowhere": (lambda path: [path / "nowhere"], "no directory.*workdir"),
  "empty": (lambda path: [path / "report"], "holds no run"),
  "twice": (lambda path: [path, path], "twice"),
  "out for one": (lambda path: [path, "--out=x"], "comparisons"),
  "out is a run": (in_run("."), "is a run.*give --out=DIR"),
  "out is a report": (in_run("report"), "lies in .*give --out=DIR"),
  "out is deep": (in_run("distill/x/y"), "lies in .*give --out=DIR"),
  "out is taken": (taken, "no comparison's.*give --out=DIR"),
  "out is a file": (file, "no directory; give --out=DIR"),
  "default is a run": (default_is_a_run, "is a run.*give --out=DIR"),
  "only comparisons": (only_comparisons, "no run is left.*--workdir"),
  "damaged": (break_results("{"), "damaged.*stages=evaluate"),
  "newer": (break_results('{"schema": 7}'), "newer.*update"),
}


def contents(directory):
  return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize("arguments,words", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, words):
  path = make_run(tmp_path / "run")
  given = [str(a) for a in arguments(path)]
  before = contents(tmp_path)
  assert command.main(given) == 1
  assert contents(tmp_path) == before
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and error.startswith("error: ")
  assert re.search(words, error)


def test_all_that_lies_together_can_be_compared_again(tmp_path, capsys):
  """As with runs/*, when the first comparison lies there too."""
  for name in "ab":
    make_run(tmp_path / name, 1)
  texts = []
  for _ in range(2):
    given = sorted(path for path in tmp_path.iterdir())
    text, found = compared(capsys, tmp_path, *given)
    assert sum(len(group["runs"]) for group in found["groups"]) == 2
    texts.append(text)
  assert "left out" not in texts[0]
  assert (
    f"{tmp_path / 'comparison'} is a comparison, and is left out" in texts[1]
  )


def test_one_comparison_may_lie_beside_another(tmp_path):
  """A directory called report, with groups, makes no run of what holds it."""
  (tmp_path / "report").mkdir()
  (tmp_path / "report" / "results.json").write_text('{"groups": []}')
  out = tmp_path / "another"
  assert places.for_comparison(out) == out


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
