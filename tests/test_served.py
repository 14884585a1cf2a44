"""play.json and its picture, in the report of a run."""

import hashlib
import json

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from play_cases import changed, described, made_up, play_json
from report_page import Page
from report_runs import make_run

from pwl_jax.play import timeline
from pwl_jax.play.stream import Answer
from pwl_jax.play.timeline import Rung
from pwl_jax.report import drawing, latency, run, served, serving
from pwl_jax.report.page import of_run
from pwl_jax.report.writing import pictures_of

WORDS = "SS", "TS", "TT"


def test_what_is_written_is_read_again(tmp_path):
  path = tmp_path / served.NAME
  path.write_text(json.dumps(play_json()))
  assert served.read(path) == play_json()
  assert served.SCHEMA == timeline.SCHEMA


@pytest.mark.parametrize(
  "found,said",
  [
    ([], "damaged"),
    ({}, "no schema"),
    (play_json(schema=0), "schema 0"),
    (play_json(schema=9), "newer pwl_jax"),
    (play_json(rungs=3), "rungs is 3"),
    (play_json(rungs=[]), "bins have"),
    (play_json(bins=[]), "some answers are there"),
    (play_json(batch=0), "batch is 0"),
    (play_json(first_answer_seconds=-1), "first_answer_seconds is -1"),
    (play_json(teacher_plainly={}), "teacher_plainly has no seconds"),
    (changed("rungs", accuracy=1.5), "accuracy is 1.5"),
    (changed("rungs", seconds=99.0), "not in order"),
    (changed("rungs", composition="SXS"), "SXS"),
    (changed("bins", composition="ST"), "bins have"),
    (changed("bins", p50_ms=None), "p50_ms is None"),
    (changed("bins", until=0.0), "ends before it begins"),
    (play_json(requests_per_s=0), "requests_per_s is 0"),
    (play_json(seconds=2.5), "a rung comes at 3.0, after the end at 2.5"),
    (play_json(seconds=3.5), "a bin ends after the end at 3.5"),
    (changed("bins", until=1.5), "begins within the one before"),
    (changed("bins", **{"from": 1.3, "until": 1.3}), "bins are not in order"),
    (play_json(bins=play_json()["bins"][::-1]), "bins are not in order"),
    (play_json(first_answer_seconds=2.0), "begins before the first answer"),
  ],
)
def test_what_is_damaged_is_named_in_one_line(tmp_path, found, said):
  path = tmp_path / served.NAME
  path.write_text(json.dumps(found))
  with pytest.raises(ValueError) as error:
    served.read(path)
  text = str(error.value)
  assert said in text and str(path) in text and "\n" not in text


def test_the_picture_has_what_it_should():
  found = play_json()
  picture = serving.picture(found)
  assert picture.title == (
    "The first answer came after 1.01 s, the teacher alone would have taken "
    "3.6 s"
  )
  for width in (drawing.WIDE, drawing.NARROW):
    svg = drawing.to_svg(picture, width)
    for words in ("SS<", "TS<", "TT<", serving.ALONE, "first answer", "p99"):
      assert words in svg, words
    assert "<title>TS: 70.00 % from 2 s on, 100 answers</title>" in svg
  assert drawing.to_png(picture).startswith(b"\x89PNG")


def test_what_is_not_known_is_not_drawn():
  assert serving.ALONE not in drawing.to_svg(
    serving.picture(play_json(teacher_plainly=None))
  )
  rungs, answers = made_up()
  unmarked = [answer._replace(right=None) for answer in answers]
  assert serving.picture(play_json(**described(rungs, unmarked))) is None
  assert serving.picture(play_json(**described(rungs, []))) is None


def test_a_show_that_took_no_time_has_a_picture():
  found = play_json(
    seconds=0, first_answer_seconds=0, teacher_plainly={"seconds": 0}
  )
  found["rungs"] = [rung | {"seconds": 0} for rung in found["rungs"]]
  zero = dict.fromkeys(("from", "until", "p50_ms", "p99_ms"), 0)
  found["bins"] = [
    found["bins"][0] | zero | {"composition": word} for word in WORDS
  ]
  served.check(found)
  assert drawing.to_svg(serving.picture(found))


def drawn(picture, width):
  """The axes, as they are laid out on a canvas."""
  height = picture.height(width)
  with matplotlib.rc_context(drawing.STYLE):
    size = width / drawing.PER_INCH, height / drawing.PER_INCH
    figure = Figure(size, dpi=drawing.PER_INCH)
    picture.draw(drawing.Canvas(figure, width, height))
    FigureCanvasAgg(figure).draw()
  return figure.axes


@pytest.mark.parametrize("width", [drawing.WIDE, drawing.NARROW])
@pytest.mark.parametrize("slower", [1, 40, 0.001])
def test_nothing_of_the_picture_is_cut(width, slower):
  rungs, answers = made_up()
  answers = [
    a._replace(due=a.answered - slower * (a.answered - a.due)) for a in answers
  ]
  known = {word: (0.5, 0.97249 + 1e-5 * i) for i, word in enumerate(WORDS)}
  found = described(rungs, [a._replace(right=2) for a in answers], **known)
  picture = serving.picture(play_json(**found, teacher_plainly=None))
  for axes in drawn(picture, width):
    name = axes.yaxis.label.get_window_extent()
    assert name.x0 >= 0
    for tick in axes.yaxis.get_major_ticks():
      assert tick.label1.get_window_extent().x0 >= name.x1
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert not any(line.get_clip_on() for line in dots)


def test_the_caption_says_who_was_asked_too_little_for_a_dot():
  rungs, answers = made_up()
  known = dict.fromkeys(WORDS, (0.5, 0.5))
  few = [a for a in answers if a.composition == "TT"]
  few += [a for a in answers if a.composition != "TT"][:120]
  caption = serving.picture(play_json(**described(rungs, few, **known))).caption
  assert "from 50 images on; TS had fewer." in caption
  assert "fewer" not in serving.picture(play_json()).caption


@pytest.mark.parametrize(
  "least,most", [(0.02, 0.057), (0.001, 0.001), (1e-9, 1e30), (0.0, 0.0)]
)
def test_latencies_have_round_values_beside_them(least, most):
  low, high, ticks = latency.ticks_between(least, most)
  assert low <= max(least, latency.TINY) and most <= high
  assert 2 <= len(ticks) <= 4
  assert low <= ticks[0] < ticks[-1] <= high


def test_many_rungs_have_names_where_there_is_room():
  words = ["T" * i + "S" * (12 - i) for i in range(13)]
  rungs = [Rung(0.1 + i / 50, word, i) for i, word in enumerate(words)]
  answers = [
    Answer(r.seconds, r.seconds + 0.01, r.composition, 2) for r in rungs
  ]
  known = {word: (i / 20, i / 13) for i, word in enumerate(words)}
  found = play_json(**described(rungs, answers, **known))
  svg = drawing.to_svg(serving.picture(found), drawing.NARROW)
  assert f"{words[-1]}<" in svg


def test_the_report_takes_it_in(tmp_path):
  workdir = make_run(tmp_path / "run")
  path = workdir / "report" / served.NAME
  path.write_text(json.dumps(play_json()))
  found = run.read(workdir)
  picture = next(p for p in pictures_of(found) if p.name == serving.NAME)
  page = Page(of_run(found, [picture]))
  assert page.faults == []
  assert "the teacher alone would have taken 3.6 s" in " ".join(page.words)
  for found, said in (
    (play_json(schema=9), "newer pwl_jax"),
    (play_json(rungs=3), "damaged (rungs is 3"),
  ):
    path.write_text(json.dumps(found))
    assert said in run.read(workdir).results["absent"]["play"]
  found = run.read(workdir)
  assert serving.NAME not in [picture.name for picture in pictures_of(found)]
  assert "damaged" in " ".join(Page(of_run(found, [])).words)


def test_what_was_played_with_another_bundle_is_left_out(tmp_path):
  workdir = make_run(tmp_path / "run")
  path = workdir / "report" / served.NAME
  (workdir / "bundle").mkdir()
  manifest = b"of the bundle that is there"
  (workdir / "bundle" / served.MANIFEST).write_bytes(manifest)
  digest = hashlib.sha256(manifest).hexdigest()
  found = play_json(manifest_sha256=digest)
  path.write_text(json.dumps(found))
  assert run.read(workdir).served == found
  path.write_text(json.dumps(play_json()))
  read = run.read(workdir)
  assert read.served is None
  assert "another bundle" in read.results["absent"]["play"]
