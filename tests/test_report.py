"""The report of one run: whole, self-contained, true, whatever is absent."""

import html.parser
import io
import itertools
import json
import re

import numpy as np
import pytest
import report_cases
from rich.console import Console

from pwl_jax.evaluation.scores import Score
from pwl_jax.method.objective import PARTS
from pwl_jax.report import (
  findings,
  phrases,
  results,
  run,
  summary,
  write_report,
)
from pwl_jax.report.axes import apart
from pwl_jax.report.curves import PART_COLOR
from pwl_jax.report.drawing import Picture, to_png, to_svg
from pwl_jax.report.page import of_run
from pwl_jax.report.theme import DARK, LIGHT
from pwl_jax.report.writing import PICTURES

EMPTY = {"meta", "link", "br", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
  """What a browser would stumble over."""

  def __init__(self, text: str):
    super().__init__()
    self.open, self.faults, self.ids, self.used = [], [], [], set()
    self.words, self.pictures, self.titles = [], 0, 0
    self.feed(text)
    self.close()
    self.faults += [f"{tag} is not closed" for tag in self.open]
    self.faults += [f"{i} is no id" for i in self.used - set(self.ids)]
    self.faults += [f"{i} twice" for i in self.ids if self.ids.count(i) > 1]
    self.text = " ".join(" ".join(self.words).split())

  def handle_starttag(self, tag, attributes):
    found = dict(attributes)
    if tag not in EMPTY and not self.get_starttag_text().endswith("/>"):
      self.open.append(tag)
    if "id" in found:
      self.ids.append(found["id"])
    for name, value in attributes:
      self.used |= set(re.findall(r"url\(#([^)]+)\)", value or ""))
      outside = re.search(r"https?:|//", value or "")
      if outside or (name == "src" and not (value or "").startswith("data:")):
        self.faults.append(f"{tag} {name}={value} is outside")
    self.used |= (
      {found["href"][1:]} if found.get("href", "")[:1] == "#" else set()
    )
    if tag == "svg":
      self.pictures += 1
      self.used.add(found["aria-labelledby"])
    if tag == "img" and not found.get("alt"):
      self.faults.append("an img without alt")

  def handle_startendtag(self, tag, attributes):
    self.handle_starttag(tag, attributes)

  def handle_endtag(self, tag):
    if not self.open or self.open.pop() != tag:
      self.faults.append(f"</{tag}> closes another element")

  def handle_data(self, data):
    if self.open and self.open[-1] not in ("style", "script"):
      self.words.append(data)


def read_page(path) -> Page:
  text = path.read_text()
  assert "url(http" not in text and "@import" not in text
  page = Page(text)
  assert page.faults == []
  return page


def report_of(tmp_path, found, **options):
  return write_report(report_cases.write_run(tmp_path, found, **options))


def words_of(tmp_path, found) -> Page:
  """The page without its pictures, which take the time."""
  workdir = report_cases.write_run(tmp_path, found)
  page = Page(of_run(run.read(workdir), []))
  assert page.faults == []
  return page


def in_terminal(found) -> str:
  console = Console(width=100, record=True, file=io.StringIO())
  console.print(summary(found))
  return console.export_text()


@pytest.mark.parametrize("units", [1, 2, 4, 7, 9])
def test_a_report_is_one_whole_page_with_its_pictures(tmp_path, units):
  found = report_cases.make_results(units, seed=units)
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
  path = report_of(tmp_path, report_cases.make_results(1))
  first = {p.name: p.read_bytes() for p in path.parent.iterdir()}
  write_report(tmp_path)
  assert first == {p.name: p.read_bytes() for p in path.parent.iterdir()}


def test_page_and_terminal_have_the_same_numbers(tmp_path):
  found = report_cases.make_results(3, seed=1)
  text = in_terminal(results.check(found))
  page = words_of(tmp_path, found).text.replace("\xa0", " ")
  for name in ("teacher", "student_plain", "student_kd"):
    number = f"{100 * found['networks'][name]['test']['top1']:.2f} %"
    assert number in text and number in page
  climb = findings.main_climb(results.check(found))
  assert f"unit {', '.join(map(str, climb.ladder['order']))}" in text


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
  found = without(report_cases.make_results(3), names)
  page = read_page(report_of(tmp_path, found))
  text = in_terminal(results.check(found))
  for name in names:
    assert f"--config.stages={name}" in page.text
    assert f"Absent: {name}" in text
  for network in found["networks"].values():
    number = f"{100 * network['test']['top1']:.2f}"
    assert number in page.text and number in text


def test_a_student_alone_has_a_report(tmp_path):
  found = without(report_cases.make_results(3), ["teacher"])
  student = found["compositions"]["SSS"]
  found |= {"compositions": {"SSS": student}, "ladders": {}, "budgets": []}
  found["families"] = {name: ["SSS"] for name in found["families"]}
  assert read_page(report_of(tmp_path, found)).pictures


def test_a_run_that_was_not_evaluated_shows_what_it_has(tmp_path):
  page = read_page(report_of(tmp_path, None))
  assert "evaluate" in page.text and "--config.stages=evaluate" in page.text
  assert "93.00" in page.text and "held-out images" in page.text
  assert (tmp_path / "report" / "curves.png").exists()
  assert not (tmp_path / "report" / "lattice.png").exists()


def test_a_run_in_training_has_a_report_of_its_whole_lines(tmp_path):
  report_cases.write_stage(tmp_path, "teacher")
  (tmp_path / "teacher" / "result.json").unlink()
  lines = tmp_path / "teacher" / "metrics.jsonl"
  lines.write_text(
    lines.read_text() + '{"step": 650, "loss": NaN, "accuracy": 0.9}\n'
    '[1]\n{"step": 700, "loss": 0.'
  )
  page = read_page(write_report(tmp_path))
  assert "step 650" in page.text and "step 700" not in page.text
  assert "distill : Not begun" in page.text.replace("distill:", "distill :")


def test_no_picture_of_an_earlier_report_is_left(tmp_path):
  report = report_cases.write_run(tmp_path, None) / "report"
  report.mkdir()
  for name in (*PICTURES, "mine"):
    (report / f"{name}.png").write_bytes(b"old")
  write_report(tmp_path)
  left = {path.name for path in report.glob("*.png")}
  assert left == {"mine.png", "families.png", "curves.png"}


def test_text_of_files_is_no_markup(tmp_path):
  bad = "<script>alert('x')</script>&[bold]$x$ ü 漢"
  found = report_cases.make_results(2)
  found["config"]["data.name"] = bad
  found["config"][bad] = bad
  found["data"]["name"] = found["devices"] = found["pwl_jax"] = bad
  found["absent"][bad] = bad
  path = report_of(tmp_path, found)
  page = read_page(path)
  assert path.read_text().count("<script>") == 1  # The page's own.
  assert page.text.count(bad) >= 6
  assert bad in in_terminal(results.check(found))


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_top_five_is_shown_where_there_is_one(tmp_path, classes):
  found = report_cases.make_results(2, classes=classes)
  page = words_of(tmp_path, found)
  assert ("top 5" in page.text) == (classes > 5)


def test_a_stage_that_was_made_anew_is_named(tmp_path):
  found = report_cases.make_results(2)
  found["stages"]["distill"]["digest"] = "of another one"
  assert "distill was made anew" in words_of(tmp_path, found).text


def test_time_is_drawn_where_it_was_measured(tmp_path):
  found = report_cases.make_results(2)
  for ladder in found["ladders"].values():
    ladder["loaded_seconds"] = [0.1, 0.5, 90.0]
  page = read_page(report_of(tmp_path, found))
  assert "and against time" in page.text and "1 min 30 s" in page.text


def set_accuracy(found, word, right):
  score = report_cases.score(359, right)
  found["compositions"][word]["test"] = score


@pytest.mark.parametrize(
  "rights,words",
  [
    ((300, 310, 320), "never falling on the way"),
    ((300, 300, 300), "never falling on the way"),
    ((300, 310, 309), "falling once, by 0.28 points"),
    ((300, 290, 289), "falling twice, by at most 2.79 points"),
  ],
)
def test_titles_are_true_of_the_numbers(rights, words):
  found = report_cases.make_results(2)
  for word, right in zip(
    found["ladders"]["planned"]["rungs"], rights, strict=True
  ):
    set_accuracy(found, word, right)
  climb = findings.main_climb(results.check(found))
  assert findings.of_climb(climb).endswith(words)


def test_equals_share_the_title_of_the_best():
  found = report_cases.make_results(2)
  for word, right in zip(("SS", "ST", "TS", "TT"), (9, 8, 10, 10), strict=True):
    set_accuracy(found, word, right)
  title = findings.of_lattice(findings.shown_scores(results.check(found)))
  assert "ST answers worst, 2.23 %" in title and "2 best, 2.79 %" in title


def test_a_loss_too_small_to_be_printed_is_no_zero():
  assert phrases.points(-1e-6) == "less than 0.01 points"
  assert "0.01" in phrases.signed(-1e-6)
  assert phrases.signed(0.0) == "0"


@pytest.mark.parametrize("right", [0, 100])
def test_equal_and_extreme_accuracies_can_be_drawn(tmp_path, right):
  """At 0 and 1 an interval may end a rounding beyond the accuracy."""
  found = report_cases.make_results(3)
  p = right / 100
  own = Score(100, p, p, 0.1)
  score = {**own._asdict(), "interval": list(own.interval)}
  for measured in (
    *found["compositions"].values(),
    *found["networks"].values(),
  ):
    measured |= {"valid": score, "test": score}
  page = read_page(report_of(tmp_path, found))
  assert "All 8 compositions" in page.text


def test_labels_are_a_gap_apart_in_their_order_and_near():
  rng = np.random.default_rng(0)
  for _ in range(50):
    wanted = rng.uniform(0, 60, 6)
    found = np.array(apart(list(wanted), 14))
    assert (np.argsort(found) == np.argsort(wanted)).all()
    assert (np.diff(np.sort(found)) >= 14 - 1e-9).all()
    assert abs(found.mean() - wanted.mean()) < 1e-9
  assert apart([0.0, 50.0], 14) == [0.0, 50.0]


def test_pictures_take_the_colours_of_the_theme():
  def draw(canvas):
    canvas.axes(10, 10, 100, 50).plot([0, 1], color=LIGHT["swap"])

  picture = Picture("p", "t", "c", "a < b", lambda width: 100, draw)
  svg = to_svg(picture)
  assert "var(--swap)" in svg and LIGHT["swap"] not in svg
  assert "a &lt; b" in svg
  assert to_png(picture) == to_png(picture)
  assert LIGHT.keys() == DARK.keys()
  assert len(set(LIGHT.values())) == len(LIGHT)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_panel(colors):
  def luminance(name):
    channels = [int(colors[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
      c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))

  for name in colors.keys() - {"panel", "grid"}:
    low, high = sorted([luminance(name), luminance("panel")])
    assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_every_part_of_the_loss_has_a_colour():
  assert set(PART_COLOR) == set(PARTS)


def test_results_are_found_as_they_were_written(tmp_path):
  found = report_cases.make_results(3)
  report_cases.write_run(tmp_path, found)
  assert results.read(tmp_path / "report" / "results.json") == found


def student(found):
  return found["compositions"]["SSS"]


SPOILED = {
  "no networks": lambda r: r.pop("networks"),
  "no schema": lambda r: r.pop("schema"),
  "another schema": lambda r: r.update(schema="one"),
  "units no list": lambda r: r.update(units={}),
  "accuracy beyond one": lambda r: student(r)["test"].update(top1=2),
  "a word too long": lambda r: r["compositions"].update(SSSS=student(r)),
  "family unmeasured": lambda r: r["compositions"].pop("TSS"),
  "rungs of another order": lambda r: r["ladders"]["prefix"]["rungs"].reverse(),
  "bytes missing": lambda r: r["networks"]["teacher"].pop("bytes"),
  "bytes are words": lambda r: student(r).update(bytes="4"),
  "loaded too short": lambda r: r["ladders"]["prefix"]["loaded_bytes"].pop(),
  "a score too few": lambda r: r["networks"]["teacher"].pop("test"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_damaged_results_are_one_line_that_says_what_to_do(tmp_path, spoil):
  found = report_cases.make_results(3)
  spoil(found)
  path = tmp_path / "results.json"
  path.write_text(json.dumps(found))
  with pytest.raises(ValueError, match=r"damaged .*stages=evaluate") as caught:
    results.read(path)
  assert "\n" not in str(caught.value)


def test_a_newer_schema_asks_for_a_newer_program(tmp_path):
  path = tmp_path / "results.json"
  path.write_text(json.dumps({"schema": 2}))
  with pytest.raises(ValueError, match=r"newer pwl_jax.*update"):
    results.read(path)
  path.write_text('{"schema": 1, "config"')
  with pytest.raises(ValueError, match="damaged"):
    results.read(path)


def test_steps_of_a_climb_are_those_of_its_ladder():
  found = results.check(report_cases.make_results(4, seed=3))
  for climb in findings.climbs(found).values():
    accuracies = [s["top1"] for s in climb.scores]
    falls = [a - b for a, b in itertools.pairwise(accuracies)]
    assert climb.ladder["test"]["worst_step"] == max(0, *falls)
    assert climb.steps == [-fall for fall in falls]
