"""How a model begins, is let go of, and meets errors nobody foresaw."""

import gc
import os
import subprocess
import sys
import threading
import weakref

import jax
import numpy as np
import pytest

from pwl_jax.runtime import errors
from pwl_jax.runtime.holdings import Holdings
from pwl_jax.runtime.programs import Program
from tests.bundle_cases import trained, written
from tests.cases import assert_close
from tests.runtime_cases import Gate, answers_as, images_of
from tests.test_runtime import ROOT


def loaders():
  return {t for t in threading.enumerate() if t.name == "pwl_jax loader"}


def test_a_model_that_nobody_holds_goes(opened):
  opened().close()
  gc.collect()
  before, arrays = loaders(), len(jax.live_arrays())
  model = opened(kept=False)
  model.upgrade().wait()
  (thread,) = loaders() - before
  gone = weakref.ref(model)
  del model
  gc.collect()
  assert gone() is None
  thread.join(60)
  assert not thread.is_alive()
  gc.collect()
  assert len(jax.live_arrays()) <= arrays


SERVER = """
import sys
import pwl_jax
model = pwl_jax.open(sys.argv[1], cache_dir=sys.argv[2])
model.upgrade()
"""


DROPPED = """
import gc
import sys
import pwl_jax
model = pwl_jax.open(sys.argv[1], cache_dir=sys.argv[2])
model.upgrade().wait()
del model
gc.collect()
"""


@pytest.mark.parametrize(
  "code", [SERVER, DROPPED], ids=["during an upgrade", "after a model is gone"]
)
def test_a_process_ends(code, tmp_path, tmp_path_factory):
  bundle = written(tmp_path_factory, "tiny_resnet", "safetensors")
  for _ in range(3):
    done = subprocess.run(
      [sys.executable, "-c", code, bundle, tmp_path / "programs"],
      cwd=ROOT,
      capture_output=True,
      text=True,
    )
    assert done.returncode == 0, done.stderr


def test_any_error_becomes_one_of_ours(opened, monkeypatch):
  model = opened(retries=1)
  for error, said in (
    (MemoryError(), "does not fit into the memory of .*MemoryError"),
    (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 5"), "RESOURCE_EXHAUSTED"),
    (KeyError("what"), "KeyError: 'what'"),
  ):
    with monkeypatch.context() as patch:
      patch.setattr(Holdings, "_put", raising(error))
      upgrade = model.upgrade()
      with pytest.raises(errors.LoadFailed, match=said):
        upgrade.wait()
      assert upgrade.progress.state == "failed"
    answers_as(model, "SSS")
  with monkeypatch.context() as patch:
    error = jax.errors.JaxRuntimeError("INTERNAL: when it was warmed")
    patch.setattr(Program, "warm", raising(error))
    with pytest.raises(errors.LoadFailed, match="INTERNAL"):
      model.upgrade().wait()
  assert model.upgrade().wait() == "TTT"


def raising(error):
  def call(*arguments):
    raise error

  return call


def test_the_first_pieces_are_tried_again_too(opened, monkeypatch):
  monkeypatch.setattr("pwl_jax.runtime.reader.BACK_OFF", 1e-3)
  read, failures = Holdings.read, iter([True, True])

  def failing(holdings, piece, pace):
    if next(failures, False):
      raise errors.LoadFailed(f"{piece}: gone", piece)
    return read(holdings, piece, pace)

  monkeypatch.setattr(Holdings, "read", failing)
  model = opened(retries=2)
  assert [event.kind for event in model.events].count("retried") == 2
  answers_as(model, "SSS")


def test_a_goal_that_is_reached_before_it_begins(opened, monkeypatch):
  model = opened()
  gate = Gate(monkeypatch)
  model.upgrade(to="TSS")
  assert gate.reached.wait(60)
  again = model.upgrade(to="TSS")
  gate.open.set()
  assert again.wait() == "TSS" == again.progress.composition


def test_a_cancel_is_felt_between_two_programs(opened, monkeypatch):
  model = opened(batch_sizes=(1, 2))
  warm, calls = Program.warm, []

  def counted(program, names, leaves, x):
    calls.append(x.shape)
    upgrade.cancel()
    return warm(program, names, leaves, x)

  monkeypatch.setattr(Program, "warm", counted)
  gate = Gate(monkeypatch)
  upgrade = model.upgrade()
  gate.open.set()
  with pytest.raises(errors.Cancelled):
    upgrade.wait()
  assert len(calls) == 1
  answers_as(model, "SSS")


def test_sizes_that_come_while_it_warms_are_warmed_too(opened, monkeypatch):
  model = opened()
  warm, sizes = Program.warm, set()

  def watched(program, names, leaves, x):
    if not sizes:
      model(images_of(5))
    sizes.add(x.shape[0])
    return warm(program, names, leaves, x)

  monkeypatch.setattr(Program, "warm", watched)
  model.upgrade(to="TSS").wait()
  assert sizes == {1, 8}


def test_sizes_beyond_the_largest_are_those_of_their_parts(opened, monkeypatch):
  warm, sizes = Program.warm, set()

  def watched(program, names, leaves, x):
    sizes.add(x.shape[0])
    return warm(program, names, leaves, x)

  monkeypatch.setattr(Program, "warm", watched)
  opened(batch_sizes=[1000])
  assert sizes == {256}


@pytest.mark.parametrize(
  "options,message",
  [
    ({"max_bytes_per_second": 0}, "max_bytes_per_second is 0"),
    ({"max_bytes_per_second": float("nan")}, "max_bytes_per_second is nan"),
    ({"max_bytes_per_second": "20MB"}, "'20MB'; it has to be a number"),
    ({"budget": "50MB"}, "budget is '50MB'"),
    ({"budget": True}, "budget is True"),
    ({"budget": 0.5}, "budget is 0.5"),
    ({"batch_sizes": [0]}, "batch size is 0"),
    ({"batch_sizes": [2.5]}, r"batch size is 2\.5; give a whole number"),
    ({"retries": -1}, "retries is -1"),
    ({"keep_student": "no"}, "keep_student is 'no'"),
    ({"device": "cpu"}, r"device is 'cpu'; give one of jax\.devices"),
    ({"start": "TXT"}, "TXT"),
  ],
)
def test_options_that_make_no_sense(opened, options, message):
  with pytest.raises(ValueError, match=message):
    opened(**options)


def test_logits_are_the_callers_own(opened):
  model = opened()
  for count in (3, 300):
    logits = model(images_of(count))
    logits += 1
    assert_close(
      logits - 1, trained("tiny_resnet").golden(images_of(count), "SSS"), 1e-4
    )


def test_a_cache_that_is_not_used_is_told(opened, tmp_path):
  tmp_path.chmod(0o755)
  told = [e.text for e in opened(cache_dir=tmp_path).events]
  assert any("can be reached by others" in text for text in told)
  assert not any("reached by others" in e.text for e in opened().events)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_worker_that_did_not_survive_a_fork_is_replaced(opened):
  model = opened()
  model.upgrade(to="TSS").wait()
  dead = threading.Thread()
  model._climber._thread = dead  # As threading marks those of a parent.
  assert model.upgrade().wait() == "TTT"
  assert np.isfinite(model(images_of(1))).all()


def test_what_went_wrong_keeps_no_arrays(opened, monkeypatch):
  """A handle may be kept for long; its error has nothing of a unit."""
  opened().upgrade().wait()  # What is compiled meanwhile is no part of it.
  handles, warm = [], Program.warm

  def cancelling(program, names, leaves, x):
    handles[-1].cancel()
    return warm(program, names, leaves, x)

  model = opened(retries=0, keep_student=False)
  gc.collect()
  arrays = len(jax.live_arrays())
  monkeypatch.setattr(Program, "warm", cancelling)
  hold = Gate(monkeypatch)
  handles.append(model.upgrade())
  hold.open.set()
  with pytest.raises(errors.Cancelled) as caught:
    handles[-1].wait()
  del caught
  gc.collect()
  assert len(jax.live_arrays()) <= arrays


def test_a_budget_that_was_cancelled_is_kept_all_the_same(opened, monkeypatch):
  model = opened(keep_student=False)
  model.upgrade().wait()
  pieces = model.manifest.pieces
  student = sum(pieces[f"student/unit{i}"].nbytes for i in range(3))
  gate = Gate(monkeypatch)
  cut = model.budget(student)
  assert gate.reached.wait(60)
  cut.cancel()
  gate.open.set()
  with pytest.raises(errors.Cancelled):
    cut.wait()
  assert model.composition == "SSS" and model.resident_bytes == student


def test_a_piece_read_ahead_too_early_is_read_again(opened, monkeypatch):
  """Where there was no room for it before others had gone."""
  model, read, failures = opened(retries=0), Holdings.read, iter([True])

  def failing(holdings, piece, pace):
    if piece == "teacher/unit1" and next(failures, False):
      raise errors.LoadFailed(f"{piece} does not fit", piece)
    return read(holdings, piece, pace)

  monkeypatch.setattr(Holdings, "read", failing)
  upgrade = model.upgrade()
  assert upgrade.wait() == "TTT"
  assert upgrade.progress.loaded_bytes == upgrade.progress.total_bytes


def test_a_student_that_is_kept_is_there_from_the_start(opened):
  model = opened(keep_student=True, start="TTT")
  loaded = sum(event.kind == "loaded" for event in model.events)
  assert model.downgrade().wait() == "SSS"
  assert sum(event.kind == "loaded" for event in model.events) == loaded
