"""What cannot become a bundle is refused in a sentence, and at once."""

import json
import os
import pathlib

import jax
import numpy as np
import pytest
from safetensors import SafetensorError

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import storing
from pwl_jax.bundle.manifest import Composition, ImageInput
from pwl_jax.evaluation.improvements import NOTHING
from pwl_jax.exporting import checks, programs
from tests.bundle_cases import DEVIATION, MEAN, handmade, trained
from tests.test_bundle_faults import two_units

IMAGE = (16, 16, 3)  # Of tiny_vit.


@pytest.fixture
def no_programs(monkeypatch):
  """They are not made: what is refused at once is refused before."""

  def made(*arguments, **options):
    raise AssertionError("programs were made")

  monkeypatch.setattr(programs, "tasks", made)


@pytest.fixture
def unchecked(monkeypatch):
  """Written without running any program."""
  monkeypatch.setattr(programs, "check_programs", lambda *a, **k: None)


def write(directory, name="tiny_vit", **options):
  options = {"store": "safetensors", "platforms": ("cpu",)} | options
  return trained(name).write(directory, **options)


def pixels(mean=MEAN, deviation=DEVIATION):
  return dict(input=ImageInput(IMAGE, mean, deviation, "exact"))


def measured(accuracy):
  return dict(compositions={"SSS": Composition(0, accuracy, 0.5, False)})


def ladder(*words):
  return dict(ladder=list(words))


@pytest.mark.parametrize(
  "options,message",
  [
    (pixels(mean=(0.5,)), r"input\.mean .* 3 channels"),
    (pixels(deviation=(0.5,) * 4), r"input\.deviation .* 3 channels"),
    (pixels(deviation=(0.2, 0.0, 0.2)), "above 0"),
    (pixels(deviation=(0.2, -1, 0.2)), "above 0"),
    (pixels(mean=(0.2, float("nan"), 0.2)), "finite"),
    (pixels(deviation=(0.2, float("inf"), 0.2)), "finite"),
    (measured(float("nan")), "valid of composition SSS is nan"),
    (measured(7.0), r"valid of composition SSS is 7\.0"),
    (ladder(), r"the ladder is \[\]"),
    (ladder("SSS", "TTT"), "one unit changed per rung"),
    (ladder("TTT", "TTS", "TSS", "SSS"), "the ladder is"),
    (ladder("SSS", "SSS", "TSS", "TTS", "TTT"), "the ladder is"),
    (ladder("SSS", "TSS", "TTS"), "the ladder is"),
    (dict(platforms="cpu"), r"\('cpu',\)"),
    (dict(platforms=("cpu", "cpu")), "once"),
    (dict(platforms=("cpu", "gpu")), "unknown platform 'gpu'.*rocm"),
    (dict(class_names=[1] * 10), "class_names has 1"),
    (dict(config={"a": float("nan")}), r"config\.a is nan"),
    (dict(config={"a": [object()]}), r"config\.a\[0\] is"),
    (dict(config={1: 2}), "config has 1"),
  ],
)
def test_what_cannot_be_served_is_refused(
  tmp_path, no_programs, options, message
):
  with pytest.raises(ValueError, match=message):
    write(tmp_path / "b", **options)
  assert list(tmp_path.iterdir()) == []


def test_variables_that_are_not_the_networks_are_refused(tmp_path, no_programs):
  variables = trained("tiny_vit").variables
  for lost in ("converters", "teacher"):
    rest = {name: tree for name, tree in variables.items() if name != lost}
    with pytest.raises(ValueError, match=f"variables have no {lost}/"):
      write(tmp_path / "b", variables=rest)
  wider = variables | {
    "student": jax.tree.map(lambda a: np.stack([a, a]), variables["student"])
  }
  with pytest.raises(ValueError, match=r"student/.* has shape"):
    write(tmp_path / "b", variables=wider)


def test_calibrated_compositions_need_their_statistics(tmp_path, no_programs):
  found = trained("tiny_resnet").improvements._replace(statistics={})
  with pytest.raises(ValueError, match=r"begins with \w+ is calibrated"):
    write(tmp_path / "b", "tiny_resnet", improvements=found)


def test_programs_of_float64_are_refused(tmp_path, no_programs):
  with jax.enable_x64(True), pytest.raises(ValueError, match="enable_x64"):
    write(tmp_path / "b")


@pytest.mark.parametrize("here,message", [("rocm", "'rocm'"), ("metal", "cpu")])
def test_a_machine_the_programs_are_not_for_says_what_to_set(
  monkeypatch, here, message
):
  monkeypatch.setattr(checks.export, "default_export_platform", lambda: here)
  with pytest.raises(ValueError, match=f"{here}.*{message}"):
    checks.check_platforms(("cpu", "cuda", "tpu"))


@pytest.mark.parametrize("spoiled", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, spoiled):
  variables = jax.tree.map(np.array, trained("tiny_vit").variables)
  jax.tree.leaves(variables["student"]["unit1"])[0][...] = spoiled
  with pytest.raises(ValueError, match="student/unit1 that are not finite"):
    write(tmp_path / "b", variables=variables)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  "store,array",
  [
    ("orbax", np.zeros((0, 3), np.float32)),
    ("orbax", np.zeros(3, np.complex64)),
    ("safetensors", np.zeros(3, jax.numpy.int4)),
  ],
)
def test_arrays_that_a_store_cannot_keep_are_named(store, array):
  with pytest.raises(ValueError, match=r"params/a of student/unit0 is"):
    storing.check(store, {"student/unit0": {"params/a": array}})


def test_numbers_of_numpy_are_numbers(tmp_path, unchecked):
  manifest = write(
    tmp_path / "x" / ".." / "b",
    config={"a": np.float32(0.5), "b": (np.int64(2), jax.numpy.ones(()))},
    compositions={"SSS": Composition(0, np.float32(0.5), 1, False)},
    improvements=NOTHING,
  )
  assert manifest.config == {"a": 0.5, "b": [2, 1.0]}
  assert manifest.compositions["SSS"].valid == 0.5
  assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("store", manifests.STORES)
def test_every_file_is_as_open_as_the_umask_lets_it_be(tmp_path, store):
  umask = os.umask(0o027)
  try:
    handmade(tmp_path / "b", store, two_units())
  finally:
    os.umask(umask)
  for path in (tmp_path / "b").rglob("*"):
    wanted = 0o750 if path.is_dir() else 0o640
    assert path.stat().st_mode & 0o777 == wanted, path


def test_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch):
  def full(*arguments):
    raise SafetensorError("I/O error: no space left on device")

  monkeypatch.setattr("safetensors.numpy.save_file", full)
  with pytest.raises(OSError, match=r"student-unit0\.safetensors .*no space"):
    handmade(tmp_path / "b", "safetensors", two_units())


FOREIGN = {
  "another program's": {"manifest.json": '{"manifest_version": 3}'},
  "no manifest": {"letter": "dear"},
  "a list": {"manifest.json": '["format", "pieces"]'},
  "no text": {"manifest.json": "\0"},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_bundle_is_not_written_over(tmp_path, no_programs, kind):
  place = tmp_path / "b"
  place.mkdir()
  for name, text in FOREIGN[kind].items():
    (place / name).write_text(text)
  with pytest.raises(ValueError, match=f"{place} is there and is no bundle"):
    write(place)
  for name, text in FOREIGN[kind].items():
    assert (place / name).read_text() == text


@pytest.mark.parametrize("name", ["NOTES.md", "weights/mine", "more/notes"])
@pytest.mark.parametrize("damaged", [True, False])
def test_a_bundle_with_files_of_others_is_not_written_over(
  tmp_path, no_programs, name, damaged
):
  place = handmade(tmp_path / "b", "safetensors", two_units())
  if damaged:  # Which of its folders' files are its own cannot be told.
    path = place / manifests.NAME
    path.write_text(path.read_text()[:-99])
    name = name.replace("weights/", "")
  mine = place / name
  mine.parent.mkdir(exist_ok=True)
  mine.write_text("mine")
  with pytest.raises(ValueError, match=f"not its own: {name}"):
    write(place)
  assert mine.read_text() == "mine"


@pytest.mark.parametrize("damage", ["digest", "cut", "later"])
def test_a_bundle_that_cannot_be_read_is_written_over(
  tmp_path, unchecked, damage
):
  place = handmade(tmp_path / "b", "safetensors", two_units())
  path = place / manifests.NAME
  text = path.read_text()
  if damage == "later":
    text = json.dumps(json.loads(text) | {"format": 9})
  path.write_text(text[:-99] if damage == "cut" else text + " ")
  write(place)
  assert manifests.read(place).num_units == 3


def test_what_is_made_there_meanwhile_survives(tmp_path, monkeypatch):
  place = tmp_path / "b"

  def meanwhile(*arguments, **options):
    place.mkdir()
    pathlib.Path(place, "letter").write_text("dear")

  monkeypatch.setattr(programs, "check_programs", meanwhile)
  with pytest.raises(ValueError, match=f"{place} is there and is no bundle"):
    write(place)
  assert [path.name for path in tmp_path.iterdir()] == ["b"]
  assert (place / "letter").read_text() == "dear"
