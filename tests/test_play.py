"""Playing a bundle: the command, what ends it, and what it leaves."""

import contextlib
import re
import signal

import pytest
from play_cases import in_terminal, player

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import Composition
from pwl_jax.play import alone, examples, screen, writing
from pwl_jax.play.interrupts import SIGNALS
from pwl_jax.play.session import Session
from pwl_jax.runtime.routes import POLICIES
from tests.bundle_cases import FAULTS, copied, trained, written
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
  return player(
    bundle,
    folder=folder,
    tmp_path=tmp_path,
    monkeypatch=monkeypatch,
    capsys=capsys,
  )


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
  assert re.search(r"s  opened SSS, 25.00 % of test images.*in memory", out)
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
    (["--budget=1k"], "--budget is 1,000 bytes, and the student, SSS, takes "),
    (["--batch=0"], "--batch is 0; give 1 to 65,536"),
    (["--threads=-1"], "--threads is -1; give 1 to 1,024"),
    (["--seconds=nan"], "--seconds is nan"),
    (["--data=nothing"], "nothing"),
    (["--data=digits"], "the images of digits are uint8[8, 8, 1]"),
  ],
)
def test_what_makes_no_sense_is_said_before_any_work(
  play, monkeypatch, flags, said
):
  def work(*given, **options):
    raise AssertionError("it was not refused before")

  for name in ("rehearse", "measure"):
    monkeypatch.setattr(alone, name, work)
  code, found, _, errors = play(*flags)
  assert code == 1 and found is None
  *before, error = errors.splitlines()
  assert error.startswith("error: ") and said in error
  assert before in ([], ["reading the images to ask about ..."])


def test_without_a_bundle_it_says_so(play, tmp_path):
  code, _, _, errors = play(where=tmp_path / "none")
  assert code == 1 and "there is no bundle at" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_another_one_loses_nothing(
  play, monkeypatch, capsys, number
):
  @contextlib.contextmanager
  def shown(title, plainly):
    yield lambda scene: signal.raise_signal(number)

  def impatient(*given):
    signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err.count("written") == 0  # It is not yet.
    return write(*given)

  write, handlers = writing.write, list(map(signal.getsignal, SIGNALS))
  monkeypatch.setattr(screen, "shown", shown)
  monkeypatch.setattr(writing, "write", impatient)
  code, found, _, errors = play("--seconds=3600")
  assert code == 128 + number
  assert found["interrupted"] and found["first_answer_seconds"] is not None
  assert "what was recorded until then is written" in errors
  assert list(map(signal.getsignal, SIGNALS)) == handlers


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_show_ends_it_at_once(play, monkeypatch, number):
  def rehearse(*given, **options):
    signal.raise_signal(number)
    raise AssertionError("it went on")

  monkeypatch.setattr(alone, "rehearse", rehearse)
  code, found, _, errors = play()
  assert code == 128 + number and found is None
  assert errors.splitlines()[-1] == "ended before anything was recorded"


@pytest.fixture
def session_of(folder):
  """session_of(bundle, policy) -> Session; closed in the end."""
  with contextlib.ExitStack() as stack:

    def make(bundle, policy="every"):
      found = Session(
        bundle,
        examples.noise(manifests.read(bundle)),
        bandwidth=None,
        per_second=200.0,
        batch=1,
        threads=2,
        budget=None,
        policy=policy,
        cache_dir=folder,
      )
      return stack.enter_context(contextlib.closing(found))

    yield make


def test_who_ends_it_keeps_what_was_recorded(session_of, bundle):
  scenes = []
  session = session_of(bundle)
  recorded = session.run(3600.0, scenes.append, is_ended=lambda: bool(scenes))
  assert recorded.interrupted and recorded.answers
  assert recorded.rungs[0].composition == "SSS"
  last = max(answer.answered for answer in recorded.answers)
  assert max(last, recorded.rungs[-1].seconds) <= recorded.seconds


# A first step down; one that nobody knows; nothing measured at all.
@pytest.mark.parametrize(
  "valid", [(0.6, 0.5, 0.7, 0.8), (0.6, None, 0.7, 0.8), (None,) * 4]
)
def test_the_screen_expects_the_rungs_that_come(session_of, tmp_path, valid):
  ladder = ("SSS", "TSS", "TTS", "TTT")
  bundle = tmp_path / "bundle"
  trained("tiny_resnet").write(
    bundle,
    store="safetensors",
    ladder=ladder,
    compositions={
      word: Composition(0, accuracy, None, False)
      for word, accuracy in zip(ladder, valid, strict=True)
    },
  )
  for policy in POLICIES:
    session = session_of(bundle, policy)
    recorded = session.run(0.0, lambda scene: None)
    words = [rung.composition for rung in recorded.rungs]
    assert session.way == words[1:] and words[-1] == "TTT"


def test_a_real_scene_has_what_a_terminal_shows(session_of, bundle):
  scenes = []
  session_of(bundle).run(0.0, scenes.append)
  for scene in (scenes[0], scenes[-1]):
    for columns in (42, 100):
      lines = in_terminal(
        screen.view(scene, "title", 1000.0, rows=20, columns=columns), columns
      )
      assert lines[0] == "title"
      assert sum(line.startswith("unit ") for line in lines) == 3
      text = " ".join(" ".join(lines).split())
      assert f"serving {scene.composition}," in text
      assert f"{scene.answers:,} answer" in text
      assert re.search(r"last answer class \d \(\d+ %\)", text)
  assert text.count("teacher ") >= 3 and "student" not in text


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
  (tmp_path / "file").touch()
  with pytest.raises(OSError, match="file"):
    writing.place(bundle, tmp_path / "file")


def test_playing_needs_nothing_of_training():
  modules = our_modules()
  for name in modules:
    if name.startswith("pwl_jax.play"):
      assert not TRAINING & closure(modules, name), name
