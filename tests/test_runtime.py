"""The model that serves: every answer is one whole composition's."""

import gc
import itertools
import pathlib
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

from pwl_jax.runtime import errors
from pwl_jax.runtime.holdings import Holdings
from tests.bundle_cases import trained, written
from tests.cases import assert_close
from tests.runtime_cases import WORDS, Gate, change, images_of, sizes_of

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_every_composition_answers_as_it_should(opened, store):
  case, model, images = (
    trained("tiny_resnet"),
    opened(store=store),
    images_of(3),
  )
  assert model.composition == "SSS"
  for word in ["SSS", *WORDS[1:], "SSS"]:
    assert model.upgrade(to=word).wait() == word == model.composition
    assert_close(model(images), case.golden(images, word), 1e-4)
    assert model.accuracy == model.manifest.compositions[word].test


def test_any_composition_can_be_the_first(opened):
  images = images_of(2)
  model = opened(start="TST")
  assert_close(
    model(images), trained("tiny_resnet").golden(images, "TST"), 1e-4
  )
  assert model.downgrade().wait() == "SSS"
  with pytest.raises(ValueError, match="TTTT"):
    opened(start="TTTT")
  with pytest.raises(errors.BudgetExceeded, match="TTT takes"):
    opened(start="TTT", budget=sizes_of(model)["TTS"])


@pytest.mark.parametrize("count", [0, 1, 3, 8, 300])
def test_any_batch_size(opened, count):
  images = images_of(count)
  found = opened()(images)
  assert found.shape == (count, 10) and found.dtype == np.float32
  if count:
    assert_close(found, trained("tiny_resnet").golden(images, "SSS"), 1e-4)


@pytest.mark.parametrize(
  "images",
  [
    np.zeros((2, 16, 16, 3), np.float32),
    np.zeros((16, 16, 3), np.uint8),
    np.zeros((2, 8, 8, 3), np.uint8),
    np.zeros((0, 8, 8, 3), np.uint8),
    7,
  ],
)
def test_other_inputs_are_refused_with_what_to_give(opened, images):
  with pytest.raises(ValueError, match=r"uint8\[b, 16, 16, 3\]"):
    opened()(images)


def test_the_way_up_and_what_is_said_of_it(opened):
  model = opened()
  upgrade = model.upgrade()
  assert upgrade.wait() == "TTT" and upgrade.done
  progress = upgrade.progress
  assert progress.state == "done" and progress.composition == "TTT"
  assert progress.loaded_bytes == progress.total_bytes > 0
  served = [e.text for e in model.events if e.kind == "served"]
  assert served == ["TSS", "TTS", "TTT"]
  kinds = [event.kind for event in model.events]
  assert kinds[:4] == ["loaded"] * 3 + ["opened"]
  assert model.upgrade().wait() == "TTT"  # There already.


def test_only_what_is_not_worse_is_visited(opened):
  """The accuracies of the bundle rise with the word but for one."""
  model = opened()
  measured = dict(model.manifest.compositions)
  measured["TSS"] = measured["TSS"]._replace(valid=0.0)
  measured["TTS"] = measured["TTS"]._replace(valid=0.6)
  change(model, compositions=measured)
  model.upgrade().wait()
  served = [e.text for e in model.events if e.kind == "served"]
  assert served == ["TTS", "TTT"]
  model.downgrade().wait()
  model.upgrade(policy="every").wait()
  served = [e.text for e in model.events if e.kind == "served"]
  assert served[2:] == ["SSS", "TSS", "TTS", "TTT"]


def test_without_accuracies_the_ladder_is_believed(opened):
  model = opened()
  unknown = {
    word: found._replace(valid=None, test=None)
    for word, found in model.manifest.compositions.items()
  }
  for compositions_known in (unknown, {}):
    change(model, compositions=compositions_known)
    assert model.budget(None).wait() == "TTT" and model.accuracy is None
    assert model.budget(sizes_of(model)["TSS"]).wait() == "TSS"
    model.downgrade().wait()


def test_a_pinned_snapshot_goes_on(opened):
  case, model, images = trained("tiny_resnet"), opened(), images_of(2)
  with model.pinned() as snapshot:
    model.upgrade().wait()
    assert snapshot.composition == "SSS" and model.composition == "TTT"
    assert_close(snapshot(images), case.golden(images, "SSS"), 1e-4)
    assert_close(model(images), case.golden(images, "TTT"), 1e-4)


def test_a_cancelled_upgrade_leaves_what_is_served(opened, monkeypatch):
  model, images = opened(), images_of(2)
  gate = Gate(monkeypatch)
  upgrade = model.upgrade()
  assert gate.reached.wait(60)
  with pytest.raises(TimeoutError, match="SSS is served, and TTT not reached"):
    upgrade.wait(timeout=0)
  upgrade.cancel()
  gate.open.set()
  with pytest.raises(errors.Cancelled):
    upgrade.wait()
  assert upgrade.progress.state == "cancelled"
  assert model.composition == "SSS"
  assert_close(
    model(images), trained("tiny_resnet").golden(images, "SSS"), 1e-4
  )
  assert model.events[-1].kind in ("cancelled", "shed")
  assert model.upgrade().wait() == "TTT"  # And nothing stands in the way.


def test_the_latest_goal_counts(opened, monkeypatch):
  model = opened()
  gate = Gate(monkeypatch)
  first = model.upgrade()
  assert gate.reached.wait(60)
  second, third = model.upgrade(to="TSS"), model.upgrade(to="STS")
  gate.open.set()
  for goal in (first, second):
    with pytest.raises(errors.Cancelled, match="was asked for instead"):
      goal.wait()
  assert third.wait() == "STS" == model.composition


def test_what_cannot_be_loaded_is_tried_again_and_then_told(
  opened, monkeypatch
):
  monkeypatch.setattr("pwl_jax.runtime.reader.BACK_OFF", 1e-3)
  model = opened(retries=2)
  read, failures = Holdings.read, itertools.count()

  def failing(holdings, piece, pace):
    if piece == "teacher/unit1" and next(failures) < limit:
      raise errors.LoadFailed(f"{piece}: gone")
    return read(holdings, piece, pace)

  monkeypatch.setattr(Holdings, "read", failing)
  limit = 10**6
  upgrade = model.upgrade()
  with pytest.raises(errors.LoadFailed, match="teacher/unit1: gone"):
    upgrade.wait()
  assert upgrade.progress.state == "failed" and model.composition == "TSS"
  assert [e.kind for e in model.events].count("retried") == 2
  failures, limit = itertools.count(), 2
  assert model.upgrade().wait() == "TTT"


def test_a_closed_model_says_so_and_leaves_no_thread(opened, monkeypatch):
  before = set(threading.enumerate())
  model = opened()
  gate = Gate(monkeypatch)
  upgrade = model.upgrade()
  assert gate.reached.wait(60)
  threading.Timer(0, gate.open.set).start()
  model.close()
  with pytest.raises(errors.Cancelled, match="closed"):
    upgrade.wait()
  for call in (lambda: model(images_of(1)), model.upgrade, model.downgrade):
    with pytest.raises(errors.Closed):
      call()
  model.close()  # Again is no mistake.
  left = {t for t in threading.enumerate() if "loader" in t.name}
  assert not left - before
  assert model.resident_bytes == 0 and model.events[-1].kind == "closed"


def test_up_and_down_under_load(opened):
  """Every answer is that of one whole composition; nothing piles up."""
  case, model, images = trained("tiny_resnet"), opened(), images_of(2)
  golden = {w: np.asarray(case.golden(images, w)) for w in WORDS}
  wrong, stop = [], threading.Event()

  def ask():
    while not stop.is_set():
      with model.pinned() as snapshot:
        answer = snapshot(images)
      expected = golden[snapshot.composition]
      if np.abs(answer - expected).max() > 1e-4 * np.abs(expected).max():
        wrong.append(snapshot.composition)

  threads = [threading.Thread(target=ask) for _ in range(3)]
  for thread in threads:
    thread.start()
  try:
    model.upgrade().wait()
    model.downgrade().wait()
    gc.collect()
    before = len(jax.live_arrays())
    for _ in range(10):
      model.upgrade().wait()
      model.downgrade().wait()
  finally:
    stop.set()
    for thread in threads:
      thread.join()
  assert not wrong
  gc.collect()
  assert len(jax.live_arrays()) <= before + 3


def test_many_callers_end_in_one_state(opened):
  model = opened()
  sizes = sizes_of(model)

  def call(seed):
    rng = np.random.default_rng(seed)
    for _ in range(6):
      what = rng.integers(3)
      try:
        if what == 0:
          model.upgrade()
        elif what == 1:
          model.downgrade(to="SSS")
        else:
          model.budget(int(rng.choice([sizes["TTT"], sizes["TTS"]])))
      except errors.BudgetExceeded:
        pass

  threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  model.budget(sizes["TTS"]).wait()
  assert model.resident_bytes <= sizes["TTS"]
  model.budget(None).wait()
  assert model.upgrade(to="TTT").wait() == "TTT"
  assert not [e for e in model.events if e.kind == "failed"]


def test_serving_needs_nothing_of_training(folder, tmp_path_factory):
  bundle = written(tmp_path_factory, "tiny_resnet", "safetensors")
  code = """
import sys
import numpy as np
import pwl_jax
with pwl_jax.open(sys.argv[1], cache_dir=sys.argv[2]) as model:
  image = np.zeros((1, *model.manifest.input.image), np.uint8)
  model(image)
  assert "orbax" not in sys.modules
  model.upgrade().wait()
  model(image)
found = [name for name in sys.argv[3:] if name in sys.modules]
assert not found, found
"""
  done = subprocess.run(
    [
      *(sys.executable, "-W", "error", "-c", code),
      *(str(bundle), str(folder)),
      *("flax", "optax", "tensorflow_datasets", "ml_collections", "orbax"),
      *("pwl_jax.models", "pwl_jax.training", "pwl_jax.evaluation"),
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
