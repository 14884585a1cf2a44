"""A manifest that a digest vouches for is still held to what can be served."""

import json
import shutil

import pytest

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.manifest import Damaged
from tests.bundle_cases import rewritten, written

UNIT = "student/unit0"
KEYS = (
  "num_units", "input", "class_names", "store", "pieces", "compositions",
  "ladder", "config", "versions", "platforms", "files",
)  # fmt: skip


@pytest.fixture
def directory(tmp_path_factory, tmp_path):
  """Of a network with converters and calibrated compositions; no files."""
  whole = written(tmp_path_factory, "tiny_resnet", "safetensors")
  shutil.copy(whole / manifests.NAME, tmp_path)
  return tmp_path


def put(*path):
  """Of the names of a field, and what becomes its value."""
  *path, value = path

  def change(fields):
    for name in path[:-1]:
      fields = fields[name]
    fields[path[-1]] = value

  return change


def without(*path):
  def change(fields):
    for name in path[:-1]:
      fields = fields[name]
    del fields[path[-1]]

  return change


def without_group(group):
  def change(fields):
    for name in [n for n in fields["pieces"] if n.startswith(group)]:
      del fields["pieces"][name]

  return change


def in_first_leaf(place, value):
  def change(fields):
    next(iter(fields["pieces"][UNIT]["leaves"].values()))[place] = value

  return change


def damage(directory):
  with pytest.raises(Damaged) as caught:
    manifests.read(directory)
  return str(caught.value)


def test_what_was_written_is_read(directory):
  before = manifests.read(directory)
  assert manifests.read(rewritten(directory, lambda fields: None)) == before


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, 3, -1, "x", [None]])
def test_a_field_of_another_type_is_named(directory, key, value):
  if (key, value) == ("num_units", 3):
    value = 3.0
  found = damage(rewritten(directory, put(key, value)))
  assert f"{manifests.NAME} is damaged: {key}" in found


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_field_is_named(directory, key):
  assert f"has no {key}" in damage(rewritten(directory, without(key)))


@pytest.mark.parametrize(
  "change,message",
  [
    (put("extra", 1), "'extra'"),
    (put("num_units", 10**9), "num_units is 1000000000"),
    (put("num_units", 2), "unit2'|programs"),
    (without("pieces", UNIT), f"no {UNIT}"),
    (without("pieces", "teacher/unit1"), "no teacher/unit1"),
    (put("pieces", UNIT, "programs", {}), f"{UNIT}.programs"),
    (without("pieces", "converters/boundary0", "programs", "decode"),
     "boundary0.programs"),
    (put("pieces", UNIT, "programs", "/../x", "0" * 64), "programs"),
    (put("pieces", UNIT, "programs", "run", "0" * 63), "programs.run"),
    (put("pieces", UNIT, "leaves", {}), "nbytes"),
    (put("pieces", "../../x", {"leaves": {}, "programs": {}}), "../../x"),
    (put("pieces", "calibration/TX", {"leaves": {}, "programs": {}}),
     "calibration/TX"),
    (put("pieces", "calibration/TT", {"leaves": {}, "programs": {}}),
     "calibration/TT"),
    (put("pieces", "calibration/TS", "leaves", "params/x",
         ["float32", [3], "0" * 64]), "params/x"),
    (without_group("calibration/"), "STT is calibrated"),
    (without("pieces", "calibration/TSS"), "calibration/TSS"),
    (without_group("converters/"), "nbytes"),
    (in_first_leaf(0, "object"), "[0] is 'object'"),
    (in_first_leaf(0, "float99999999"), "[0] is"),
    (in_first_leaf(1, 3), "[1] is 3"),
    (in_first_leaf(1, [-1]), "[1][0] is -1"),
    (in_first_leaf(1, [10**30]), "[1][0] is"),
    (in_first_leaf(1, [3.5]), "[1][0] is 3.5"),
    (in_first_leaf(2, "Z" * 64), "[2] is"),
    (put("store", "zip"), "store is 'zip'"),
    (put("ladder", []), "the ladder is []"),
    (put("ladder", ["SSS", "TTT"]), "the ladder is"),
    (put("ladder", ["TTT", "TTS", "TSS", "SSS"]), "the ladder is"),
    (put("ladder", ["SSS", "SSS", "TSS", "TTS", "TTT"]), "the ladder is"),
    (put("ladder", ["SSS", "TSS", "TTS"]), "the ladder is"),
    (put("ladder", ["XYZ"]), "'XYZ'"),
    (put("compositions", "QQ",
         {"nbytes": 1, "valid": 1, "test": 1, "calibrated": False}), "'QQ'"),
    (put("compositions", "SSS", "valid", "high"), "SSS.valid"),
    (put("compositions", "SSS", "test", 7), "SSS.test"),
    (put("compositions", "SSS", "nbytes", 1), "SSS.nbytes"),
    (put("compositions", "SSS", "z", 1), "'z'"),
    (without("compositions", "SSS", "test"), "no test"),
    (put("input", "image", [-1, 8, 3]), "input.image[0]"),
    (put("input", "image", "abc"), "input.image"),
    (put("input", "mean", [0.5]), "input.mean"),
    (put("input", "deviation", [1, 0, 1]), "input.deviation[1]"),
    (put("input", "resize", "foo"), "input.resize"),
    (put("class_names", ["\ud800"] * 10), "class_names[0]"),
    (without("versions", "jax"), "versions has no jax"),
    (put("platforms", []), "platforms"),
    (put("files", {}), f"nothing of {UNIT}"),
    (put("files", "../../etc/passwd", "0" * 64), "name in files"),
    (put("files", "/etc/shadow", "0" * 64), "name in files"),
    (put("files", "weights/../../x", "0" * 64), "name in files"),
    (put("files", "weights/a\0b", "0" * 64), "name in files"),
  ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_and_named(directory, change, message):
  found = damage(rewritten(directory, change))
  assert any(part in found for part in message.split("|")), found
  assert "export the bundle again" in found


def test_numbers_that_json_has_not_are_refused(directory):
  path = directory / manifests.NAME
  path.write_text(path.read_text().replace("0.25", "Infinity"))
  assert "is no manifest" in damage(directory)


@pytest.mark.parametrize("version", [3, 99, 3.0, "3", 0, -1, None, True, []])
@pytest.mark.parametrize("others", [True, False])
def test_another_format_is_refused_before_all_else(directory, version, others):
  """Whatever else a later manifest has, or has no more."""
  path = directory / manifests.NAME
  found = json.loads(path.read_text()) if others else {}
  found.pop("sha256", None)
  path.write_text(json.dumps({**found, "format": version}))
  with pytest.raises(ValueError, match="format version") as caught:
    manifests.read(directory)
  assert not isinstance(caught.value, Damaged)
  newer = isinstance(version, int | float) and version > manifests.FORMAT
  assert ("install a newer" in str(caught.value)) == newer
