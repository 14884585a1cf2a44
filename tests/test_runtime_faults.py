"""Files that break while a model serves: it serves on, and names them."""

import shutil

import numpy as np
import pytest

from pwl_jax.bundle.manifest import program_file, weights_place
from pwl_jax.runtime import errors, open_model
from tests.bundle_cases import FAULTS, broken, copied, trained, written
from tests.cases import assert_close
from tests.test_runtime import images_of

TEACHER = [f"teacher/unit{i}" for i in range(3)]
OTHERS = ["converters/boundary0", "converters/boundary1", "calibration/TS"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
  whole = written(tmp_path_factory, "tiny_resnet", "safetensors")
  return copied(whole, tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def model(bundle, tmp_path_factory):
  folder = tmp_path_factory.getbasetemp() / "programs"
  with open_model(
    bundle, cache_dir=folder, retries=0, keep_student=False
  ) as model:
    yield model


def answers_as(model, word):
  images = images_of(2)
  assert model.composition == word
  golden = trained("tiny_resnet").golden(images, word)
  assert_close(model(images), golden, 1e-4)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("piece", [*TEACHER, *OTHERS])
def test_a_broken_piece_is_named_and_nothing_changes(
  model, bundle, piece, fault
):
  model.downgrade().wait()
  with broken(bundle / weights_place(piece, "safetensors"), fault):
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
def test_files_in_each_others_place(model, bundle, others, tmp_path):
  model.downgrade().wait()
  one, other = (bundle / weights_place(p, "safetensors") for p in others)
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
  """Where it is needed: what was compiled before needs none."""
  path = bundle / program_file("student/unit0", "run")
  with (
    broken(path, fault),
    pytest.raises(errors.LoadFailed, match=r"student/unit0 .*run"),
  ):
    open_model(bundle, cache_dir=tmp_path, batch_sizes=[16])
  path = bundle / program_file("teacher/unit1", "run")
  with open_model(bundle, cache_dir=tmp_path, batch_sizes=[32]) as model:
    with broken(path, fault), pytest.raises(errors.LoadFailed):
      model.upgrade().wait()
    answers_as(model, "TSS")


def test_a_bundle_that_was_replaced_serves_on(bundle, tmp_path):
  moved = copied(bundle, tmp_path)
  with open_model(moved, retries=0, cache_dir=tmp_path / "c") as model:
    trained("tiny_resnet").write(
      moved, store="safetensors", ladder=["SSS", "TTT"]
    )
    model.upgrade(to="TSS").wait()  # The same arrays, so the same digests.
    answers_as(model, "TSS")
    variables = trained("tiny_resnet").variables
    other = {**variables, "teacher": doubled(variables["teacher"])}
    trained("tiny_resnet").write(moved, store="safetensors", variables=other)
    with pytest.raises(errors.LoadFailed, match="was replaced"):
      model.upgrade(to="TTS").wait()
    answers_as(model, "TSS")


def doubled(tree):
  if isinstance(tree, dict):
    return {name: doubled(inner) for name, inner in tree.items()}
  return np.asarray(tree) * 2
