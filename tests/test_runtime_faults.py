"""Files that break while a model serves: it serves on, and names them."""

import pathlib
import shutil

import numpy as np
import pytest

from pwl_jax.bundle.manifest import program_file, weights_place
from pwl_jax.runtime import errors, open_model
from tests.bundle_cases import FAULTS, broken, copied, trained, written
from tests.cases import assert_close
from tests.runtime_cases import answers_as, images_of

TEACHER = [f"teacher/unit{i}" for i in range(3)]
OTHERS = ["converters/boundary0", "converters/boundary1", "calibration/TS"]


@pytest.fixture(scope="module", params=["orbax", "safetensors"])
def store(request):
  return request.param


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, store):
  whole = written(tmp_path_factory, "tiny_resnet", store)
  return copied(whole, tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def model(bundle, tmp_path_factory):
  folder = tmp_path_factory.getbasetemp() / "programs"
  with open_model(
    bundle, cache_dir=folder, retries=0, keep_student=False
  ) as model:
    yield model


def file_of(bundle, piece, store):
  """That holds its arrays: the only one, or the largest."""
  place = bundle / weights_place(piece, store)
  files = [place, *place.rglob("*")]
  return max(
    filter(pathlib.Path.is_file, files), key=lambda f: f.stat().st_size
  )


# The last bytes of a file of Orbax are its own, and no reader looks at them.
BREAKS = [("safetensors", fault) for fault in FAULTS]
BREAKS += [("orbax", fault) for fault in FAULTS if fault != "last byte"]


@pytest.mark.parametrize("store,fault", BREAKS, indirect=["store"])
@pytest.mark.parametrize("piece", [*TEACHER, *OTHERS])
def test_a_broken_piece_is_named_and_nothing_changes(
  model, bundle, store, piece, fault
):
  model.downgrade().wait()
  with broken(file_of(bundle, piece, store), fault):
    upgrade = model.upgrade(policy="every")
    with pytest.raises(errors.LoadFailed, match=piece):
      upgrade.wait()
    reached = model.composition
    assert reached != "TTT" and reached == upgrade.progress.composition
    answers_as(model, reached)
    failed = [event for event in model.events if event.kind == "failed"]
    assert piece in failed[-1].text
  model.upgrade().wait()
  answers_as(model, "TTT")


@pytest.mark.parametrize("others", [TEACHER[:2], [TEACHER[0], "student/unit0"]])
def test_files_in_each_others_place(model, bundle, store, others, tmp_path):
  model.downgrade().wait()
  one, other = (bundle / weights_place(p, store) for p in others)
  swap(one, other, tmp_path)
  try:
    with pytest.raises(errors.LoadFailed, match="teacher/unit0"):
      model.upgrade().wait()
    answers_as(model, "SSS")
  finally:
    swap(one, other, tmp_path)


def swap(one, other, tmp_path):
  shutil.move(one, tmp_path / "aside")
  shutil.move(other, one)
  shutil.move(tmp_path / "aside", other)


@pytest.mark.parametrize("fault", ["a bit", "deleted"])
def test_a_broken_program_is_named(bundle, tmp_path, fault):
  """Also where what it says was compiled before, and lies in a cache."""
  open_model(bundle, cache_dir=tmp_path, start="TTT").close()
  path = bundle / program_file("student/unit0", "run")
  with (
    broken(path, fault),
    pytest.raises(errors.LoadFailed, match=r"run program of student/unit0"),
  ):
    open_model(bundle, cache_dir=tmp_path, retries=0)
  path = bundle / program_file("teacher/unit1", "run")
  with open_model(bundle, cache_dir=tmp_path, retries=0) as model:
    with broken(path, fault), pytest.raises(errors.LoadFailed) as caught:
      model.upgrade().wait()
    assert caught.value.piece == "teacher/unit1"
    answers_as(model, "TSS")


def test_a_request_needs_nothing_of_the_bundle(bundle, tmp_path):
  moved = copied(bundle, tmp_path)
  with open_model(moved, cache_dir=tmp_path / "c", retries=0) as model:
    model.upgrade(to="TSS").wait()
    shutil.rmtree(moved)
    case, images = trained("tiny_resnet"), images_of(5)
    assert_close(model(images), case.golden(images, "TSS"), 1e-4)
    model.downgrade().wait()  # It was kept.
    with pytest.raises(errors.LoadFailed, match="teacher/unit0"):
      model.upgrade().wait()
    answers_as(model, "SSS")


# Orbax writes the time into files that are held to their digests.
@pytest.mark.parametrize("store", ["safetensors"], indirect=True)
def test_a_bundle_that_was_replaced_serves_on(bundle, store, tmp_path):
  moved = copied(bundle, tmp_path)
  with open_model(moved, retries=0, cache_dir=tmp_path / "c") as model:
    ladder = ["SSS", "SST", "STT", "TTT"]
    trained("tiny_resnet").write(moved, store=store, ladder=ladder)
    model.upgrade(to="TSS").wait()  # The same arrays, so the same digests.
    answers_as(model, "TSS")
    variables = trained("tiny_resnet").variables
    other = {**variables, "teacher": doubled(variables["teacher"])}
    trained("tiny_resnet").write(moved, store=store, variables=other)
    with pytest.raises(errors.LoadFailed, match="was replaced"):
      model.upgrade(to="TTS").wait()
    answers_as(model, "TSS")


def doubled(tree):
  if isinstance(tree, dict):
    return {name: doubled(inner) for name, inner in tree.items()}
  return np.asarray(tree) * 2
