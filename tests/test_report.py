"""The report of one run: whole, self-contained, whatever is absent."""

import pytest
from report_cases import make_results
from report_page import drawn, in_terminal, read_page, words_of
from report_runs import write_run

from pwl_jax.report import results, write_report
from pwl_jax.report.writing import PICTURES


def report_of(tmp_path, found, **options):
  return write_report(write_run(tmp_path, found, **options))


@pytest.mark.parametrize("units", [1, 2, 4, 7, 9])
def test_a_report_is_one_whole_page_with_its_pictures(tmp_path, units):
  found = make_results(units, seed=units)
  path = report_of(tmp_path, found)
  assert path == tmp_path / "report" / "report.html"
  page = read_page(path)
  assert page.pictures >= 2 * len(PICTURES) - 1  # For a desk and for a phone.
  for name in PICTURES:
    png = (path.parent / f"{name}.png").read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 1000
  assert not list(path.parent.glob("*.tmp"))
  for word in found["compositions"]:
    assert word in page.text


def test_the_same_results_make_the_same_files(tmp_path):
  path = report_of(tmp_path, make_results(1))
  first = {p.name: p.read_bytes() for p in path.parent.iterdir()}
  write_report(tmp_path)
  assert first == {p.name: p.read_bytes() for p in path.parent.iterdir()}


ABSENCES = {
  "no student_kd": ["student_kd"],
  "no comparison": ["student_kd", "student_plain"],
  "no swap network": ["student", "compositions"],
  "only a teacher": ["student_kd", "student_plain", "student", "compositions"],
  "no teacher": ["teacher", "student_kd", "student", "compositions"],
}


def without(found, names):
  """Results as they are where these parts were not made."""
  for name in names:
    found["networks"].pop(name, None)
    found["absent"][name] = f"{name} was not made; --config.stages={name}"
  if "compositions" in names:
    found |= {"compositions": {}, "families": {}, "ladders": {}, "budgets": []}
    found |= {"calibration": None, "refit": None}
  return found


@pytest.mark.parametrize("names", ABSENCES.values(), ids=ABSENCES)
def test_what_is_absent_is_said_and_the_rest_is_shown(tmp_path, names):
  found = without(make_results(2), names)
  page = words_of(tmp_path, found)
  assert "families" in drawn(tmp_path)
  text = in_terminal(results.check(found))
  for name in names:
    assert f"--config.stages={name}" in page.text
    assert f"Absent: {name}" in text
  for network in found["networks"].values():
    number = f"{100 * network['test']['top1']:.2f}"
    assert number in page.text and number in text


def test_a_student_alone_has_a_report(tmp_path):
  found = without(make_results(2), ["teacher"])
  student = found["compositions"]["SS"]
  found |= {"compositions": {"SS": student}, "ladders": {}, "budgets": []}
  found["families"] = {name: ["SS"] for name in found["families"]}
  assert "SS" in words_of(tmp_path, found).text
  assert "families" in drawn(tmp_path)


def test_no_picture_of_an_earlier_report_is_left(tmp_path):
  report = write_run(tmp_path, None) / "report"
  report.mkdir()
  for name in (*PICTURES, "mine"):
    (report / f"{name}.png").write_bytes(b"old")
  write_report(tmp_path)
  left = {path.name for path in report.glob("*.png")}
  assert left == {"mine.png", "families.png", "curves.png"}


def test_text_of_files_is_no_markup(tmp_path):
  bad = "<script>alert('x')</script>&[bold]$x$ ü 漢"
  found = make_results(2)
  found["config"]["data.name"] = bad
  found["config"][bad] = bad
  found["data"]["name"] = found["devices"] = found["pwl_jax"] = bad
  found["absent"][bad] = bad
  page = words_of(tmp_path, found)
  assert page.scripts == 1  # The page's own.
  assert page.text.count(bad) >= 6
  assert all("<script" not in svg for svg in drawn(tmp_path).values())
  assert bad in in_terminal(results.check(found))
