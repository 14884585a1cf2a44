"""Serving a stream while upgrading: what is counted, written and shown."""

import io
import itertools
import json
import re
import threading

import numpy as np
import pytest
from report_page import Page
from report_runs import make_run
from rich.console import Console

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import Composition
from pwl_jax.play import (
  __main__,
  alone,
  examples,
  quantities,
  screen,
  timeline,
  writing,
)
from pwl_jax.play.session import Session
from pwl_jax.play.stream import Answer, Stream
from pwl_jax.play.timeline import Rung
from pwl_jax.report import drawing, latency, run, served, serving
from pwl_jax.report.page import of_run
from pwl_jax.report.writing import pictures_of
from tests.bundle_cases import FAULTS, copied, written
from tests.test_house import closure, our_modules

TRAINING = {"flax", "optax", "ml_collections", "pwl_jax.models"}
TRAINING |= {"pwl_jax.training", "pwl_jax.stages", "pwl_jax.main"}


@pytest.fixture
def bundle(tmp_path_factory):
  """Of three units; it names no data set."""
  return written(tmp_path_factory, "tiny_resnet", "safetensors")


@pytest.fixture
def folder(tmp_path_factory):
  """Compiled programs are shared by the tests of one process."""
  return tmp_path_factory.getbasetemp() / "programs"


@pytest.fixture
def play(bundle, folder, tmp_path, monkeypatch, capsys):
  """play(*flags) -> the exit code, what it wrote, output and errors."""
  monkeypatch.setenv("PWL_JAX_CACHE", str(folder))
  monkeypatch.setattr(alone, "rehearse", lambda *given, **options: None)
  monkeypatch.setattr(alone, "measure", lambda *given, **options: 9.5)

  def run(*flags, where=bundle):
    out = tmp_path / "out"
    given = [f"--bundle={where}", f"--out={out}", "--seconds=0", *flags]
    code = __main__.main(given)
    path = out / served.NAME
    found = served.read(path) if path.exists() else None
    return code, found, *capsys.readouterr()

  return run


@pytest.mark.parametrize(
  "text,value",
  [
    ("20MB/s", 20e6),
    ("1.5 GB/s", 1.5e9),
    ("500k", 5e5),
    (" 1 KiB/s ", 1024),
    (".5T", 5e11),
    ("7", 7),
  ],
)
def test_amounts_are_read_as_people_write_them(text, value):
  assert quantities.bytes_per_second("--bandwidth", text) == value
  assert quantities.nbytes("--budget", text.replace("/s", "")) == value


@pytest.mark.parametrize(
  "text", ["", "fast", "-1MB/s", "0", "1e3", "MB", "1 MB per s", "20 Mbit/s"]
)
def test_what_is_no_amount_is_refused_with_examples(text):
  with pytest.raises(ValueError, match=r"--bandwidth is .* such as 20MB/s"):
    quantities.bytes_per_second("--bandwidth", text)
  with pytest.raises(ValueError, match=r"--budget is .* such as 20MB"):
    quantities.nbytes("--budget", text)


def test_a_rate_is_positive_and_of_seconds():
  assert quantities.per_second("--requests", "0.5/s") == 0.5
  for text in ("0", "-1/s", "inf", "nan", "5/min", ""):
    with pytest.raises(ValueError, match="such as 200/s"):
      quantities.per_second("--requests", text)
  with pytest.raises(ValueError, match="--budget"):
    quantities.nbytes("--budget", "20MB/s")  # Of memory, and no rate.


def test_a_percentile_is_a_value_that_came():
  values = list(range(100, 0, -1))
  assert timeline.percentile(values, 50) == 50
  assert timeline.percentile(values, 99) == 99
  assert timeline.percentile(values, 100) == 100
  assert timeline.percentile([3.0], 50) == timeline.percentile([3.0], 99) == 3
  assert timeline.percentile([], 50) is None


def made_up(count=400):
  """Two images a request; the student has half right, the rest all."""
  answers = []
  for i in range(count):
    word = "SS" if i < 100 else "TS" if i < 200 else "TT"
    due = 1 + i / 100
    late = 0.002 if i % 50 else 0.1
    answers.append(Answer(due, due + late, word, 1 if word == "SS" else 2))
  rungs = [Rung(0.9, "SS", 10), Rung(2.0, "TS", 20), Rung(3.0, "TT", 30)]
  return rungs, answers


def described(rungs, answers, **measured):
  known = {
    word: Composition(1, *both, False) for word, both in measured.items()
  }
  return timeline.describe(rungs, answers, batch=2, measured=known)


def test_the_timeline_counts_every_answer_once():
  rungs, answers = made_up()
  found = described(rungs, answers[::-1], SS=(0.5, 0.4), TS=(0.6, None))
  assert found["first_answer_seconds"] == pytest.approx(1.012)
  assert [r["requests"] for r in found["rungs"]] == [100, 100, 200]
  assert [r["accuracy"] for r in found["rungs"]] == [0.5, 1.0, 1.0]
  assert [r["test_accuracy"] for r in found["rungs"]] == [0.4, None, None]
  assert [r["valid_accuracy"] for r in found["rungs"]] == [0.5, 0.6, None]
  for rung in found["rungs"]:
    assert rung["p50_ms"] == pytest.approx(2)
    assert rung["p99_ms"] == pytest.approx(100)
  bins = found["bins"]
  assert timeline.BINS <= len(bins) <= timeline.BINS + 5
  for word, count in (("SS", 100), ("TS", 100), ("TT", 200)):
    of = [part for part in bins if part["composition"] == word]
    assert sum(part["requests"] for part in of) == count
  assert all(part["from"] <= part["until"] for part in bins)
  starts = [part["from"] for part in bins]
  # Some come while the composition before still answers, but no sooner.
  width = (answers[-1].answered - 1) / timeline.BINS
  assert all(b > a - width for a, b in itertools.pairwise(starts))


def test_answers_that_overtake_each_other_keep_a_bin_in_order():
  late, early = Answer(1.0, 1.4, "S", 1), Answer(1.1, 1.2, "S", 1)
  last = Answer(1.2, 90.0, "S", 1)
  first, second = timeline.bins([early, late, last], batch=1)
  assert (first["from"], first["until"], second["from"]) == (1.2, 1.4, 90.0)


def test_a_timeline_without_answers_or_labels():
  rungs, answers = made_up()
  found = described(rungs, [])
  assert found["first_answer_seconds"] is None and found["bins"] == []
  assert found["rungs"][0]["p50_ms"] is None
  found = described(rungs, [a._replace(right=None) for a in answers])
  assert {rung["accuracy"] for rung in found["rungs"]} == {None}
  assert {part["accuracy"] for part in found["bins"]} == {None}


def test_a_rung_that_nobody_asked_is_told():
  rungs, answers = made_up()
  found = described(rungs, [a for a in answers if a.composition != "TS"])
  assert [r["requests"] for r in found["rungs"]] == [100, 0, 200]
  assert found["rungs"][1]["accuracy"] is None


class Clock:
  """Time that stands still but for what it is told."""

  now = 0.0

  def __call__(self):
    return self.now


def test_latency_counts_from_when_a_request_was_due():
  """A model that takes a second for each, asked ten times a second."""
  clock, images = Clock(), np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
  asked, enough = [], threading.Event()

  def ask(batch):
    clock.now += 1.0
    asked.append(batch.ravel().tolist())
    if len(asked) == 2:
      raise RuntimeError("once")
    if len(asked) == 5:
      enough.set()
    return "S", np.eye(3)[batch.ravel() % 3]

  stream = Stream(
    ask,
    images,
    np.zeros(6, np.int64),
    per_second=10,
    batch=4,
    threads=1,
    clock=clock,
  )
  stream.start()
  assert enough.wait(30)
  stream.stop()
  assert asked[:3] == [[0, 1, 2, 3], [4, 5, 0, 1], [2, 3, 4, 5]]
  assert [a.due for a in stream.answers[:3]] == pytest.approx([0, 0.2, 0.3])
  assert [a.answered for a in stream.answers[:3]] == [1.0, 3.0, 4.0]
  assert [a.right for a in stream.answers[:3]] == [2, 1, 2]
  assert stream.failures == ["RuntimeError: once"]
  assert [stream.due(x) for x in (-1.0, 0.0, 5.0)] == [0, 1, 51]


def test_what_is_recorded_of_a_real_upgrade(play):
  code, found, out, errors = play("--requests=500/s", "--seconds=0.3")
  assert code == 0
  words = [rung["composition"] for rung in found["rungs"]]
  assert words == ["SSS", "TSS", "TTS", "TTT"]
  assert found["teacher_plainly"] == {"seconds": 9.5}
  assert found["failed_requests"] == 0 and found["error"] == ""
  assert found["rungs"][0]["seconds"] <= found["first_answer_seconds"]
  assert found["rungs"][-1]["requests"] > 0
  answered = sum(rung["requests"] for rung in found["rungs"])
  assert answered == sum(part["requests"] for part in found["bins"])
  # The bundle names no data: noise, whose accuracy nobody can know.
  assert "noise" in errors and found["data"] == "noise"
  assert found["rungs"][0]["accuracy"] is None
  assert found["rungs"][0]["test_accuracy"] == 0.25
  assert re.search(r"s  SSS answers; .*in memory", out)
  for word in words[1:]:
    assert re.search(rf"s  served {word}, \d\d.00 % of test images", out)
  assert "the teacher alone would have taken 9.5 s" in out
  assert (out.splitlines()[-1]).endswith("play.png")


def test_the_stream_is_marked_right_or_wrong_where_that_is_known(play):
  code, found, *_ = play("--data=synthetic:64x16x16x3/10", "--batch=3")
  assert code == 0 and found["data"].startswith("synthetic")
  assert found["batch"] == 3
  for part in found["bins"]:
    assert 0 <= part["accuracy"] <= 1


def test_within_a_budget_it_goes_as_far_as_that(play, bundle):
  sizes = manifests.read(bundle).compositions
  budget = sizes["TSS"].nbytes
  assert budget < sizes["TTT"].nbytes
  code, found, *_ = play(f"--budget={budget}", "--no_comparison")
  assert code == 0 and found["budget"] == budget
  assert found["rungs"][-1]["composition"] != "TTT"
  assert found["teacher_plainly"] is None
  code, *_, errors = play("--budget=1")
  assert code == 1 and errors.splitlines()[-1].startswith("error: no composit")


def test_a_unit_that_is_damaged_ends_the_upgrade_and_nothing_else(
  play, bundle, tmp_path
):
  copy = copied(bundle, tmp_path)
  FAULTS["deleted"](copy / "weights" / "teacher-unit1.safetensors")
  code, found, out, errors = play(where=copy)
  assert code == 1 and "teacher/unit1" in found["error"]
  assert "the upgrade ended early" in errors and "failed" in out
  words = [rung["composition"] for rung in found["rungs"]]
  assert words == ["SSS", "TSS"] and found["failed_requests"] == 0


@pytest.mark.parametrize(
  "flags,said",
  [
    (["--bandwidth=fast"], "--bandwidth is 'fast'"),
    (["--requests=0"], "--requests is '0'"),
    (["--budget=much"], "--budget is 'much'"),
    (["--batch=0"], "--batch is 0; give at least 1"),
    (["--threads=-1"], "--threads is -1; give at least 1"),
    (["--seconds=nan"], "--seconds is nan"),
    (["--data=nothing"], "nothing"),
    (["--data=digits"], "the images of digits are [8, 8, 1]"),
  ],
)
def test_what_makes_no_sense_is_said_in_one_line(play, flags, said):
  code, found, _, errors = play(*flags)
  assert code == 1 and found is None
  assert errors.startswith("error: ") and said in errors
  assert len(errors.splitlines()) == 1


def test_without_a_bundle_it_says_so(play, tmp_path):
  code, _, _, errors = play(where=tmp_path / "none")
  assert code == 1 and "there is no bundle at" in errors


@pytest.fixture
def session(bundle, folder):
  found = Session(
    bundle,
    examples.noise(manifests.read(bundle)),
    bandwidth=None,
    per_second=200.0,
    batch=1,
    threads=2,
    budget=None,
    policy="every",
    cache_dir=folder,
  )
  yield found
  found.close()


def test_an_interrupt_keeps_what_was_recorded(session):
  def show(scene):
    if not shown:
      shown.append(scene)
      raise KeyboardInterrupt

  shown = []
  recorded = session.run(60.0, show)
  assert recorded.interrupted and recorded.answers
  assert recorded.rungs[0].composition == "SSS"


def test_what_a_terminal_shows(session):
  scenes = []
  session.run(0.0, scenes.append)
  for scene in (scenes[0], scenes[-1]):
    text = in_terminal(screen.view(scene, "title", 1000.0, rows=20))
    assert text.startswith("title")
    assert f"serving        {scene.composition}," in text
    assert text.count("unit ") == 3
    assert "would give its first answer in" in text
    assert f"{scene.answers:,} answer" in text
  assert text.count("teacher ") >= 3 and "student" not in text
  assert "unit" not in in_terminal(screen.view(scene, "", None, rows=2))


def in_terminal(renderable):
  out = io.StringIO()
  Console(file=out, width=100).print(renderable)
  return out.getvalue()


def test_the_teacher_alone_is_measured_in_a_process_of_its_own(
  bundle, tmp_path
):
  options = dict(bandwidth=None, batch=1, cold=True)
  assert alone.measure(bundle, **options) > 0
  copy = copied(bundle, tmp_path)
  FAULTS["deleted"](copy / "weights" / "teacher-unit1.safetensors")
  with pytest.raises(ChildProcessError, match="teacher/unit1"):
    alone.measure(copy, **options)


def test_where_it_is_written(tmp_path):
  (tmp_path / "run" / "report").mkdir(parents=True)
  bundle = tmp_path / "run" / "bundle"
  assert writing.place(bundle, None) == tmp_path / "run" / "report"
  alone_there = tmp_path / "b"
  assert writing.place(alone_there, None) == tmp_path / "b-play"
  assert writing.place(bundle, tmp_path / "x" / "y").is_dir()
  for inside in (bundle, bundle / "play"):
    with pytest.raises(ValueError, match="lies in the bundle"):
      writing.place(bundle, inside)


def play_json(**changes):
  rungs, answers = made_up()
  found = described(rungs, answers, SS=(0.5, 0.4), TS=(0.6, 0.7), TT=(0.8, 0.9))
  return {
    "schema": timeline.SCHEMA,
    "bundle": "runs/x/bundle",
    "manifest_sha256": "0" * 64,
    "data": "digits",
    "device": "cpu",
    "bandwidth": 1e6,
    "requests_per_s": 100.0,
    "batch": 2,
    "threads": 2,
    "policy": "better",
    "budget": None,
    "caches": "warm",
    "seconds": 5.2,
    "interrupted": False,
    "error": "",
    "failed_requests": 0,
    "unanswered_requests": 0,
    "teacher_plainly": {"seconds": 3.6},
    **found,
    **changes,
  }


def changed(part, **fields):
  found = play_json()
  found[part][0] = found[part][0] | fields
  return found


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


def test_what_was_played_with_another_bundle_is_left_out(tmp_path, bundle):
  workdir = make_run(tmp_path / "run")
  path = workdir / "report" / served.NAME
  (workdir / "bundle").mkdir()
  manifest = (bundle / manifests.NAME).read_bytes()
  (workdir / "bundle" / manifests.NAME).write_bytes(manifest)
  found = play_json(manifest_sha256=writing.digest(bundle))
  path.write_text(json.dumps(found))
  assert run.read(workdir).served == found
  path.write_text(json.dumps(play_json()))
  read = run.read(workdir)
  assert read.served is None
  assert "another bundle" in read.results["absent"]["play"]


def test_playing_needs_nothing_of_training():
  modules = our_modules()
  for name in modules:
    if name.startswith("pwl_jax.play"):
      assert not TRAINING & closure(modules, name), name
