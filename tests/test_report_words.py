"""What a report says is true of its numbers; tables and the terminal."""

import itertools
import re

import pytest
import report_cases
from report_page import in_terminal, words_of
from report_runs import write_run

from pwl_jax.report import (
  findings,
  folded,
  headline,
  loading,
  memory,
  phrases,
  results,
  run,
  tables,
)


def set_accuracy(found, word, right):
  score = report_cases.score(359, right)
  found["compositions"][word]["test"] = score


@pytest.mark.parametrize(
  "rights,words",
  [
    ((300, 310, 320), "never falling on the way"),
    ((300, 300, 300), "is always 83.57 %"),
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


def test_page_and_terminal_have_the_same_numbers(tmp_path):
  found = report_cases.make_results(3, seed=1)
  text = in_terminal(results.check(found))
  page = words_of(tmp_path, found).text.replace("\xa0", " ")
  for name in ("teacher", "student_plain", "student_kd"):
    number = f"{100 * found['networks'][name]['test']['top1']:.2f} %"
    assert number in text and number in page
  climb = findings.main_climb(results.check(found))
  assert f"unit {', '.join(map(str, climb.ladder['order']))}" in text


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_top_five_is_shown_where_there_is_one(tmp_path, classes):
  found = report_cases.make_results(2, classes=classes)
  page = words_of(tmp_path, found)
  assert ("top 5" in page.text) == (classes > 5)


@pytest.mark.parametrize(
  "told,words",
  [
    ({"image": [8, 8, 1], "kind": "images"}, "images of 8×8×1"),  # noqa: RUF001
    ({"image": [64], "kind": "texts"}, "texts of 64 tokens"),
    (
      {"image": [8000], "kind": "sounds", "sample_rate": 8000},
      "sounds of 8,000 samples at 8,000 per second",
    ),
    ({"image": [8000]}, "inputs of 8,000"),  # Older ones say no kind.
    ({"image": [8, 8, 1]}, "images of 8×8×1"),  # noqa: RUF001
  ],
)
def test_a_page_says_what_the_examples_are(tmp_path, told, words):
  found = report_cases.make_results(2)
  found["data"] |= told
  text = words_of(tmp_path, found).text.replace("\xa0", " ")
  assert f"359 to report on, {words}, 10 classes" in text
  assert "on test examples" in text and "on test images" not in text


def test_steps_of_a_climb_are_those_of_its_ladder():
  found = results.check(report_cases.make_results(4, seed=3))
  for climb in findings.climbs(found).values():
    accuracies = [s["top1"] for s in climb.scores]
    falls = [a - b for a, b in itertools.pairwise(accuracies)]
    assert climb.ladder["test"]["worst_step"] == max(0, *falls)
    assert climb.steps == [-fall for fall in falls]


def test_every_composition_has_its_top_five():
  found = report_cases.make_results(2)
  found["compositions"]["TS"]["test"]["top5"] = 0.9876
  table = folded.every_composition(results.check(found))
  place = table.columns.index("top 5")
  shown = {row[0].text: row[place].text for row in table.rows}
  assert shown["TS"] == "98.76 %"
  few = results.check(report_cases.make_results(2, classes=3))
  assert "top 5" not in folded.every_composition(few).columns


def test_no_column_is_empty(tmp_path):
  read = run.read(write_run(tmp_path, None)).results
  columns = tables.networks(read).columns
  assert columns == ("network", "loss", "held out")


def test_held_out_accuracies_are_not_called_test():
  found = report_cases.make_results(2)
  for measured in (
    *found["networks"].values(),
    *found["compositions"].values(),
  ):
    measured["test"] = None
  read = results.check(found)
  climb = findings.main_climb(read)
  for table in (
    *(tables.networks(read), tables.ladder(read, climb)),
    *(folded.every_composition(read), folded.budgets(read)),
  ):
    assert "test" not in table.columns and "held out" in table.columns


@pytest.mark.parametrize("width", [30, 45, 60, 80, 200])
def test_a_terminal_breaks_no_value_over_lines(width):
  found = results.check(report_cases.make_results(4))
  text = in_terminal(found, width)
  lines = text.splitlines()
  assert max(map(len, lines)) <= width
  assert not [line for line in lines if re.match(r"\s*(%|kB|MB|points)", line)]
  assert "93.87 %" in text or "%" in text
  if width >= 60:
    for row in tables.loading(found).rows:
      assert any(
        all(cell.text in line for cell in row[:3]) for line in lines
      ), row
  if width < 60:
    assert "No room for:" in text


@pytest.mark.parametrize(
  "student,teacher,words",
  [
    (1000, 1040, "a little smaller"),
    (1000, 1060, "1.1 times smaller"),
    (1000, 9960, "10 times smaller"),
    (1000, 1000, "from the student"),
  ],
)
def test_a_student_is_not_one_time_smaller(student, teacher, words):
  found = report_cases.make_results(2)
  found["networks"]["student"]["bytes"] = student
  found["networks"]["teacher"]["bytes"] = teacher
  read = results.check(found)
  assert words in headline.key_figures(read)[0].note
  assert "1.0 times" not in findings.of_first_answer(read)


@pytest.mark.parametrize(
  "units,order,words",
  [
    (1, [0], "Here prefix and suffix are the planned order."),
    (2, [1, 0], "Here suffix is the planned order."),
  ],
)
def test_orders_that_are_alike_are_said_to_be(units, order, words):
  found = report_cases.make_results(units)
  suffix = found["ladders"]["suffix"]
  assert suffix["order"] == order
  found["ladders"]["planned"] = suffix
  assert words in loading.picture(results.check(found)).caption


def test_the_caption_says_where_the_best_by_memory_falls():
  found = report_cases.make_results(2, monotone=True)
  words = [step["composition"] for step in found["budgets"]]
  assert len(words) > 1
  for right, word in enumerate(words, start=300):
    set_accuracy(found, word, right)
  assert "falls" not in memory.picture(results.check(found)).caption
  set_accuracy(found, words[-1], 299)
  assert "falls" in memory.picture(results.check(found)).caption
