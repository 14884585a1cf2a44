"""results.json: read back as it was written, or refused in one line."""

import copy
import json

import pytest
import report_cases
import report_runs
from report_page import in_terminal, words_of

from pwl_jax.report import page, results, run, writing


def test_results_are_found_as_they_were_written(tmp_path):
  found = report_cases.make_results(3)
  report_runs.write_run(tmp_path, found)
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


VALUES = (None, "x", [], {}, -1, True, 1e400, float("nan"), 10**400)


def places(value, path=()):
  """Every field, and what lies in it."""
  if path:
    yield path
  inner = value.items() if isinstance(value, dict) else ()
  for key, member in enumerate(value) if isinstance(value, list) else inner:
    yield from places(member, (*path, key))


def spoiled(found, path, value):
  """With another value there, or, without one, with nothing."""
  found = copy.deepcopy(found)
  holder = found
  for key in path[:-1]:
    holder = holder[key]
  if value is places:
    del holder[path[-1]]
  else:
    holder[path[-1]] = value
  return found


def test_whatever_is_spoiled_is_shown_or_said_in_one_line(tmp_path):
  """Every field with every wrong value."""
  found = report_cases.make_results(2)
  found["budget"] = {"bytes": 10**6, "composition": "TS"}
  path = tmp_path / "results.json"
  shown, refused = [], set()
  for place in places(found):
    if {"ST", "TT", "student_plain", "student_kd", "suffix"} & {*place}:
      continue  # Others are like them.
    for value in (*VALUES, places):
      path.write_text(json.dumps(spoiled(found, place, value)))
      try:
        read = results.read(path)
      except ValueError as error:
        assert "damaged" in str(error) and "\n" not in str(error)
        refused.add(place)
        continue
      shown.append(read)
  assert len(refused) > 50 and len(shown) > 50
  for read in shown:
    made = run.Run("x", tmp_path, read, {}, True)
    assert page.of_run(made, []).count("<h1>") == 1
    assert writing.pictures_of(made)
    in_terminal(read)


@pytest.mark.parametrize(
  "path",
  [
    ("refit",),
    ("calibration",),
    ("budget",),
    ("compositions", "TS", "uncalibrated"),
    ("compositions", "TS", "flops"),
    ("networks", "teacher", "flops"),
    ("networks", "teacher", "test", "top5"),
    ("units", 0, "converter"),
  ],
)
def test_what_may_be_unknown_may_be_null(tmp_path, path):
  found = spoiled(report_cases.make_results(2), path, None)
  words_of(tmp_path, found)
  in_terminal(results.check(found))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "[" * 10**5])
def test_what_is_no_number_is_damage(tmp_path, text):
  path = tmp_path / "results.json"
  found = json.dumps(report_cases.make_results(1) | {"mine": "HERE"})
  path.write_text(found.replace('"HERE"', text))
  with pytest.raises(ValueError, match="damaged") as caught:
    results.read(path)
  assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
