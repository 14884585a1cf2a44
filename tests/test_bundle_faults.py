"""Whatever happens to the files of a bundle, nobody gets a wrong weight."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import reading
from pwl_jax.bundle.__main__ import main
from pwl_jax.bundle.reading import Damaged, open_bundle
from pwl_jax.bundle.verify import verify
from tests.bundle_cases import (
  FAULTS,
  broken,
  copied,
  flip,
  handmade,
  rewritten,
  written,
)

STORES = ("orbax", "safetensors")


def two_units(seed=0):
  """Of the same names and shapes, so that only the bytes tell them apart."""
  rng = np.random.default_rng(seed)
  return {
    f"student/unit{i}": {
      # Large and small arrays take different ways.
      "params/large/kernel": rng.normal(size=(300, 600)).astype(np.float32),
      "params/small/bias": rng.normal(size=9).astype(np.float32),
      "batch_stats/a/mean": rng.normal(size=3).astype(np.float32),
    }
    for i in range(2)
  } | {"calibration/TS": {"batch_stats/a/mean": np.ones(3, np.float32)}}


@pytest.fixture(params=STORES)
def directory(request, tmp_path):
  return handmade(tmp_path / "bundle", request.param, two_units())


def place_of(directory, piece):
  store = manifests.read(directory).store
  return directory / manifests.weights_place(piece, store)


def files_of(directory, piece):
  place = place_of(directory, piece)
  return [place] if place.is_file() else files_in(place)


def damage(bundle, piece):
  """What is said of a piece; None if it is there, and right."""
  try:
    found = bundle.leaves(piece)
  except Damaged as error:
    return str(error)
  for name, array in two_units()[piece].items():
    np.testing.assert_array_equal(found[name], array, strict=True)
  return None


def files_in(folder):
  return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_caught_and_named(directory, fault):
  bundle = open_bundle(directory)
  for piece in bundle.manifest.pieces:
    for path in files_of(directory, piece):
      with broken(path, fault):
        message = damage(bundle, piece)
        found = verify(directory)
      assert any(str(path) in line for line in found), path
      assert not any("unit1" in line for line in found if "unit0" in str(path))
      if message is None:
        # Orbax leaves notes of its own behind the arrays, which nobody reads.
        assert fault == "last byte" and "ocdbt.process_0/d" in str(path)
        continue
      assert piece in message and ("params" in message or "batch" in message)
      assert str(place_of(directory, piece)) in message
      bundle.leaves(piece)  # Nothing of the fault was kept.
  assert verify(directory) == []


def test_every_file_beside_the_pieces_is_looked_at(directory):
  """Orbax has some of its own, that only other readers need."""
  for path in files_in(directory):
    with broken(path, "a bit"):
      assert any(str(path) in line for line in verify(directory)), path


def test_pieces_that_changed_places_are_caught(directory):
  bundle = open_bundle(directory)
  one, other = (place_of(directory, f"student/unit{i}") for i in range(2))
  between = directory / "between"
  one.rename(between)
  other.rename(one)
  between.rename(other)
  for piece in ("student/unit0", "student/unit1"):
    with pytest.raises(Damaged, match=piece):
      bundle.leaves(piece)
    assert any(piece in line for line in verify(directory))
  bundle.leaves("calibration/TS")


def test_a_missing_place_is_named(directory):
  bundle = open_bundle(directory)
  shutil.rmtree(directory / "weights")
  with pytest.raises(Damaged, match=r"student/unit0.* is missing"):
    bundle.leaves("student/unit0")


def test_arrays_of_another_form_are_caught(directory, tmp_path):
  """Well written files, with another manifest beside them."""
  pieces = two_units()
  piece = pieces["student/unit0"]
  piece["params/large/kernel"] = piece["params/large/kernel"].reshape(600, 300)
  pieces["student/unit1"]["params/small/bias"] = np.zeros(9, np.float16)
  store = manifests.read(directory).store
  other = handmade(tmp_path / "other", store, pieces)
  described = manifests.read(other)
  described = described._replace(files=manifests.read(directory).files)
  (directory / manifests.NAME).write_text(manifests.to_json(described))
  bundle = open_bundle(directory)
  with pytest.raises(Damaged, match=r"\[300, 600\], not float32\[600, 300\]"):
    bundle.leaves("student/unit0")
  with pytest.raises(Damaged, match=r"small/bias .* float32\[9\], not float16"):
    bundle.leaves("student/unit1")


def test_a_flipped_bit_in_the_manifest_is_caught(directory):
  path = directory / manifests.NAME
  before = path.read_bytes()
  for place in np.linspace(0, 1, 60):
    flip(path, place)
    with pytest.raises(ValueError, match=r"manifest\.json"):
      open_bundle(directory)
    assert len(verify(directory)) == 1
    path.write_bytes(before)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}'])
def test_what_is_no_manifest_is_refused(directory, text):
  (directory / manifests.NAME).write_text(text)
  with pytest.raises(Damaged, match=r"manifest\.json is damaged"):
    open_bundle(directory)


def test_a_newer_format_is_refused_with_a_sentence(directory):
  path = directory / manifests.NAME
  found = json.loads(path.read_text())
  path.write_text(
    json.dumps({**found, "format": manifests.FORMAT + 1, "what": "ever"})
  )
  with pytest.raises(
    ValueError,
    match=rf"version {manifests.FORMAT + 1}, .* up to {manifests.FORMAT}; ",
  ):
    open_bundle(directory)


def test_where_no_bundle_is_it_says_so(directory):
  for place in (directory / "weights", directory / "no", "/dev/null"):
    with pytest.raises(FileNotFoundError, match=r"no bundle at .*export"):
      open_bundle(place)


def test_a_broken_program_is_caught_and_named(tmp_path_factory, tmp_path):
  whole = written(tmp_path_factory, "tiny_vit", "safetensors")
  bundle = open_bundle(copied(whole, tmp_path))
  path = bundle.directory / "programs" / "converters-boundary1.encode.bin"
  for fault in FAULTS:
    with broken(path, fault):
      with pytest.raises(Damaged, match=r"encode program of converters/b.*bin"):
        bundle.program("converters/boundary1", "encode")
      assert len(verify(bundle.directory)) == 1
  with pytest.raises(ValueError, match="encode, decode"):
    bundle.program("converters/boundary1", "run")
  with pytest.raises(ValueError, match="unknown piece 'student/unit'"):
    bundle.leaves("student/unit")


def test_a_reader_may_give_up_at_any_step(directory):
  bundle = open_bundle(directory)

  class Enough(Exception):
    pass

  def pace(nbytes):
    raise Enough

  with pytest.raises(Enough):
    bundle.leaves("student/unit0", pace)
  assert bundle.leaves("student/unit0").keys() == set(
    two_units()["student/unit0"]
  )


def test_a_bundle_that_was_replaced_says_so(directory, tmp_path):
  bundle = open_bundle(directory)
  store = bundle.manifest.store
  shutil.rmtree(directory)
  handmade(directory, store, two_units(seed=1))
  with pytest.raises(Damaged, match="replaced since it was opened"):
    bundle.leaves("student/unit0")


def test_nothing_that_lies_in_a_bundle_is_mapped(directory):
  """Arrays that were verified stay what they are."""
  bundle = open_bundle(directory)
  found = bundle.leaves("student/unit0")
  for path in files_in(directory):
    path.write_bytes(b"")
  for name, array in two_units()["student/unit0"].items():
    np.testing.assert_array_equal(found[name], array)


def test_the_commands(directory, capsys, monkeypatch):
  monkeypatch.setenv("COLUMNS", "100")
  assert main(["verify", str(directory)]) == 0
  assert "is whole: 7 arrays of 5 pieces" in capsys.readouterr().out
  path = files_of(directory, "student/unit1")[-1]
  with broken(path, "deleted"):
    assert main(["verify", str(directory)]) == 1
  captured = capsys.readouterr()
  assert str(path) in captured.out and "error: " in captured.err
  assert main(["inspect", str(pathlib.Path(directory, "no"))]) == 1
  assert "no bundle" in capsys.readouterr().err


def test_the_page(tmp_path_factory, capsys, monkeypatch):
  monkeypatch.setenv("COLUMNS", "100")
  whole = written(tmp_path_factory, "tiny_vit", "safetensors")
  assert main(["inspect", str(whole)]) == 0
  page = capsys.readouterr().out
  manifest = manifests.read(whole)
  for part in ("16x16x3", "class 9", "SSS > TSS > TTS > TTT", "safetensors",
               "cpu, cuda, tpu", manifest.versions["jax"], "tiny"):  # fmt: skip
    assert part in page, part
  for word, found in manifest.compositions.items():
    (line,) = (
      li for li in page.splitlines() if li.strip().startswith(f"{word} ")
    )
    assert f"{100 * found.test:.2f} %" in line


SPECIAL = {
  "pipe": lambda path: os.mkfifo(path),
  "device": lambda path: path.symlink_to("/dev/zero"),
  "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_never_read(directory, kind):
  """A pipe would wait for ever, a device never end."""
  bundle = open_bundle(directory)
  program = directory / manifests.program_file("student/unit0", "run")
  weights = files_of(directory, "student/unit1")
  for path in (program, *weights):
    before = path.read_bytes()
    path.unlink()
    SPECIAL[kind](path)
    with pytest.raises(Damaged, match=f"{path} is no regular file"):
      if path == program:
        bundle.program_bytes("student/unit0")
      else:
        bundle.leaves("student/unit1")
    assert any(f"{path} is no regular file" in li for li in verify(directory))
    path.rmdir() if kind == "folder" else path.unlink()
    path.write_bytes(before)
  (directory / manifests.NAME).unlink()
  SPECIAL[kind](directory / manifests.NAME)
  with pytest.raises(Damaged, match="is no regular file"):
    open_bundle(directory)


def test_links_to_files_are_followed(directory, tmp_path):
  path = files_of(directory, "student/unit1")[0]
  path.rename(tmp_path / "elsewhere")
  path.symlink_to(tmp_path / "elsewhere")
  assert verify(directory) == []


def test_what_is_far_too_large_is_not_read(directory, monkeypatch):
  bundle = open_bundle(directory)
  monkeypatch.setattr(reading, "MOST_PROGRAM", 3)
  with pytest.raises(Damaged, match="at most 3 are read"):
    bundle.program_bytes("student/unit0")
  monkeypatch.setattr(manifests, "MOST_BYTES", 100)
  with pytest.raises(Damaged, match="at most 100 are read"):
    open_bundle(directory)


@pytest.mark.parametrize(
  "entry",
  [
    {"data_offsets": [0, 10**30]},
    {"data_offsets": [10**30, 10**30 + 36]},
    {"data_offsets": [-36, 0]},
    {"data_offsets": [float("inf"), float("inf")]},
    {"data_offsets": [0.0, 36.0]},
    {"data_offsets": [36, 0]},
    {"data_offsets": 36},
    {"shape": 9},
    {"shape": [9.0]},
    {"dtype": ["F32"]},
  ],
)
def test_a_header_that_lies_is_caught(tmp_path, entry):
  directory = handmade(tmp_path / "bundle", "safetensors", two_units())
  path = place_of(directory, "student/unit0")
  written = path.read_bytes()
  length = int.from_bytes(written[:8], "little")
  header = json.loads(written[8 : 8 + length])
  header["params/small/bias"] |= entry
  changed = json.dumps(header).encode()
  size = len(changed).to_bytes(8, "little")
  path.write_bytes(size + changed + written[8 + length :])
  with pytest.raises(Damaged, match=r"small/bias of student/unit0"):
    open_bundle(directory).leaves("student/unit0")


def test_files_that_nobody_wrote_are_named(directory):
  for name in ("weights/more", "programs/old.bin", "calibration/deep/x"):
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    assert verify(directory) == [f"{path} is not in the manifest"]
    path.unlink()
  (directory / "NOTES.md").write_text("Nothing that is served.")
  assert verify(directory) == []


def test_verify_tells_what_it_reads(directory):
  told = []
  verify(directory, told.append)
  manifest = manifests.read(directory)
  assert {*manifest.pieces, *manifest.files} <= set(told)


def test_nothing_from_a_file_is_obeyed_by_the_terminal(directory, capsys):
  def change(fields):
    fields["class_names"] = ["\x1b[31mred\x1b[2J", "\u202eb\n\x07\x9b"]
    fields["config"] = {"model.preset": "\x1b]0;title\x07"}
    leaves = fields["pieces"]["student/unit0"]["leaves"]
    leaves["\x1b[5mblink"] = leaves.pop("params/small/bias")

  rewritten(directory, change)
  assert main(["inspect", str(directory)]) == 0
  assert main(["verify", str(directory)]) == 1
  captured = capsys.readouterr()
  assert "red" in captured.out and "blink" in captured.out
  for letter in "\x1b\x07\x9b\u202e":
    assert letter not in captured.out + captured.err


@pytest.mark.parametrize("width", [30, 40, 50, 60, 100])
def test_numbers_stay_whole_on_narrow_terminals(
  tmp_path_factory, capsys, monkeypatch, width
):
  monkeypatch.setenv("COLUMNS", str(width))
  whole = written(tmp_path_factory, "tiny_vit", "safetensors")
  assert main(["inspect", str(whole)]) == 0
  page = capsys.readouterr().out
  lines = page[page.index("Compositions") :].splitlines()
  manifest = manifests.read(whole)
  for word, found in manifest.compositions.items():
    (line,) = (li for li in lines if li.strip().startswith(f"{word} "))
    shown = f"{100 * found.valid:.2f} %"
    assert shown in line or (width < 50 and "%" not in line)
    assert len(line) <= width
  (header,) = (li for li in lines if li.strip().startswith("composition"))
  assert ("held out" in header) == ("50.00 %" in " ".join(lines))
