"""What the show looks like: on terminals wide and narrow, and in a log."""

import io

import numpy as np
import pytest
from play_cases import described, in_terminal, made_up, scene_of
from rich.cells import cell_len

from pwl_jax.bundle import manifest as manifests
from pwl_jax.play import conclusion, screen
from pwl_jax.play.log import EVERY, Log
from pwl_jax.play.scene import LONGEST_NAME, last_answer
from pwl_jax.play.stream import Last
from tests.bundle_cases import written

RUNGS = (0.5, "SSS", 1000), (1.0, "TSS", 20_000), (1.02, "TTS", 300_000)


@pytest.fixture
def manifest(tmp_path_factory):
  return manifests.read(written(tmp_path_factory, "tiny_resnet", "safetensors"))


@pytest.mark.parametrize("columns", [42, 80, 200])
def test_a_unit_is_one_line_that_says_what_it_is_and_will_be(manifest, columns):
  coming = manifest.unit("T", 2)
  for loaded, state in ((frozenset(), "loading"), ({coming}, "loaded")):
    scene = scene_of(manifest, *RUNGS, coming={coming}, loaded=loaded)
    lines = shown(scene, columns)
    units = [line.split()[:3] for line in lines if line.startswith("unit ")]
    states = ("teacher", "teacher", state)
    assert units == [["unit", str(i), states[i]] for i in range(3)]
    assert max(map(len, lines)) <= columns


def test_where_there_is_no_room_for_bars_the_composition_says_it(manifest):
  scene = scene_of(manifest, *RUNGS)
  for room in (dict(rows=2, columns=80), dict(rows=20, columns=30)):
    lines = in_terminal(
      screen.view(scene, "x" * 99, None, **room), room["columns"]
    )
    assert not any(line.startswith("unit ") for line in lines)
    assert any(line.startswith("serving") and "TTS" in line for line in lines)
    assert lines[1] == ""  # The title is one line, whatever it is.


def test_when_the_teacher_alone_would_answer(manifest):
  scene = scene_of(manifest, *RUNGS)  # At 2.02 s.
  assert "would give its first answer in 3.0 s" in " ".join(shown(scene, 80))
  lines = in_terminal(screen.view(scene, "", 1.5, rows=9, columns=80), 80)
  assert "gives its first answer after 1.50 s" in " ".join(lines)


def test_the_last_answer_has_a_name_and_whether_it_is_right(manifest):
  logits, names = np.log([0.05, 0.93, 0.02]), ("dog", "cat", "a\nbird")
  for label, said in (
    (1, "cat (93 %), right"),
    (0, "cat (93 %), but it is dog"),
    (2, "cat (93 %), but it is a bird"),
    (None, "cat (93 %)"),
  ):
    assert last_answer(Last(logits, label), names, 80) == said
  huge = Last(np.float32([0, 1e30, -np.inf]), None)
  assert last_answer(huge, names, 80) == "cat (100 %)"
  long = last_answer(Last(logits, 1), ("", "n" * 99, ""), 80)
  assert long == f"{'n' * (LONGEST_NAME - 1)}… (93 %), right"
  wide = last_answer(Last(logits, 1), ("", "漢" * 99, ""), 80)
  assert cell_len(wide.partition(" (")[0]) <= LONGEST_NAME
  assert last_answer(Last(logits, 1), (), 80) is None  # It has no names.
  assert last_answer(None, names, 80) is None
  scene = scene_of(manifest, *RUNGS, last=Last(np.eye(10)[3], 3))
  assert any("class 3 (23 %), right" in line for line in shown(scene, 42))
  scene = scene_of(manifest._replace(class_names=()), *RUNGS, last=scene.last)
  assert not any("last answer" in line for line in shown(scene, 42))


TEXTS = {
  "a fine film": "a fine film",
  "": "",
  "two\nlines\tand  more \r\n": "two lines and more",
  "[bold]red[/bold] [/] :smile:": "[bold]red[/bold] [/] :smile:",
  "\x1b[31mred\x07 \u202eover\u2028it": "[31mred over it",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_is_but_for_what_moves_the_cursor(manifest, text):
  lines = answered(manifest, text, columns=100)
  assert lines == [f'last answer    "{TEXTS[text]}": class 3 (23 %), right']


@pytest.mark.parametrize("columns", [42, 60, 80, 200])
@pytest.mark.parametrize(
  "text",
  ["long " * 999, "w" * 5000, "漢字" * 999, "e\u0301" * 999, "👍🏽" * 99],
)
def test_a_long_text_takes_what_is_left_of_a_line(manifest, text, columns):
  (line,) = answered(manifest, text, columns)
  assert cell_len(line) <= columns and line.endswith("class 3 (23 %), right")
  shown = columns > 50  # Else it is left out.
  assert shown == (f'"{text[:2]}' in line) == ('…"' in line)
  # Wide characters may leave a column or two.
  assert cell_len(line) >= columns - 2 or not shown


def answered(manifest, text, columns):
  """The lines about the last answer."""
  last = Last(np.eye(10)[3], 3, text)
  screen = shown(scene_of(manifest, *RUNGS, last=last), columns)
  start = next(i for i, x in enumerate(screen) if x.startswith("last answer"))
  rest = (i for i, x in enumerate(screen) if x.startswith("teacher alone"))
  return screen[start : next(rest)]


def test_a_line_of_a_log_has_what_was_so_when_it_happened(manifest):
  """Two rungs of one look, 20 ms apart."""
  out = io.StringIO()
  log = Log(out)
  for _ in range(2):
    log(scene_of(manifest, *RUNGS))
  *rungs, stream = out.getvalue().splitlines()
  for line, (seconds, word, _), kind, nbytes in zip(
    rungs,
    RUNGS,
    ("opened", "served", "served"),
    ("1.0 kB", "20.0 kB", "300.0 kB"),
    strict=True,
  ):
    assert line.startswith(f"{seconds:7.2f} s  {kind} {word}, ")
    assert line.endswith(f"of test images right; {nbytes} in memory")
    assert "answer" not in line and "p50" not in line
  assert stream == (
    "   2.02 s  1,234 answers, 50.0 % right so far; p50 250 ms, p99 250 ms"
  )


def test_a_long_log_says_now_and_then_how_the_stream_does(manifest):
  out = io.StringIO()
  log = Log(out)
  log(scene_of(manifest, RUNGS[0], answers=0))
  assert "answers" not in out.getvalue()
  for seconds in (1.0, EVERY, 1.0 + EVERY, 2.0 + EVERY):
    log(scene_of(manifest, RUNGS[0], seconds=seconds))
  assert out.getvalue().count("answers") == 2


def conclusion_in(columns, word="{}"):
  rungs, answers = made_up()
  known = dict.fromkeys(("SS", "TS", "TT"), (0.6, 0.5123))
  rungs = described(rungs, answers, **known)["rungs"]
  rungs = [
    rung | {"composition": word.format(rung["composition"])} for rung in rungs
  ]
  return in_terminal(conclusion.table(rungs, columns), columns)


@pytest.mark.parametrize("columns", [30, 42, 60, 80, 200])
def test_the_table_has_what_tells_most_in_lines_that_fit(columns):
  heads, *rows = conclusion_in(columns)
  assert len(rows) == 3 and max(map(len, rows)) <= columns
  for row, word, seconds in zip(
    rows, ("SS", "TS", "TT"), ("0.90", "2.00", "3.00"), strict=True
  ):
    assert row.split()[:3] == [word, seconds, "s"] and "51.23 %" in row
  assert heads.split()[:3] == ["served", "from", "measured"]
  assert ("memory" in heads) == (columns >= 80)


def test_in_a_log_the_table_is_whole():
  lines = conclusion_in(conclusion.LOG_COLUMNS, word="T" * 99 + "{}")
  assert len(lines) == 4
  assert lines[0].split() == list(conclusion.SHOWN)
  assert sorted(conclusion.SHOWN) == sorted(conclusion.TELLING)


def test_a_long_composition_is_whole_where_it_needs_lines():
  lines = conclusion_in(30, word="T" * 24 + "{}")
  text = "".join(line.split()[0] for line in lines[1:])
  assert text == "".join("T" * 24 + word for word in ("SS", "TS", "TT"))
  assert sum("51.23 %" in line for line in lines) == 3


def shown(scene, columns):
  return in_terminal(
    screen.view(scene, "runs/x/bundle", 5.02, rows=20, columns=columns), columns
  )
