"""Bundles of rounded units: what is served is what was measured."""

import json

import numpy as np
import pytest

from pwl_jax import export, stages
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.names import flat
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.compress.leaves import precision_of
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.exporting.precision import of_texts, parse, with_scales
from pwl_jax.method import composition as compositions
from pwl_jax.report.results import read
from pwl_jax.runtime import errors, open_model
from tests.bundle_cases import broken, every_fault_is_named, trained
from tests.cases import assert_close
from tests.tiny_config import get_config

ROUNDED = ("bfloat16", "int8", "int4")


def write(directory, case, student, teacher, **options):
  precisions = of_texts(student, teacher, case.swapnet.num_units)
  case.write(
    directory,
    **{"precisions": precisions, "platforms": ("cpu",), **options},
  )
  return precisions


@pytest.mark.parametrize(
  "name,student,teacher",
  [("tiny_resnet", p, p) for p in ROUNDED]
  + [
    ("tiny_vit", "int4", "int8"),
    ("tiny_audio", "int8", "int4"),
    ("tiny_resnet", "float32,bfloat16,int8", "int8,int4,float32"),
  ],
)
def test_every_composition_answers_as_its_rounded_networks_do(
  tmp_path, folder, name, student, teacher
):
  case = trained(name)
  precisions = write(tmp_path / "b", case, student, teacher)
  assert verify(tmp_path / "b") == []
  served, raw = case.rounded(precisions), noise(case.input, 3)
  with open_model(tmp_path / "b", cache_dir=folder) as model:
    for word in compositions.every(case.swapnet.num_units):
      model.upgrade(word).wait()
      assert_close(model(raw), served.golden(raw, word), 1e-4)


@pytest.mark.parametrize("precision", ROUNDED)
def test_fewer_bytes_are_read_and_held(tmp_path, folder, precision):
  case = trained("tiny_resnet")
  precisions = write(tmp_path / "b", case, precision, precision)
  found = manifests.read(tmp_path / "b")
  expected = [
    sum(leaf.nbytes for leaf in leaves.values())
    for name, leaves in case.stored(precisions).pieces.items()
    if name.startswith("teacher/")
  ]
  pieces = [found.pieces[f"teacher/unit{i}"] for i in range(3)]
  assert [piece.nbytes for piece in pieces] == expected
  for piece in pieces:
    dtypes = {name: leaf.dtype for name, leaf in piece.leaves.items()}
    assert precision_of(dtypes) == precision
  whole = sum(leaf.nbytes for leaf in flat(case.variables["teacher"]).values())
  assert (
    sum(expected)
    < {"bfloat16": 0.6, "int8": 0.4, "int4": 0.35}[precision] * whole
  )
  with open_model(
    tmp_path / "b", cache_dir=folder, keep_student=False
  ) as model:
    model.upgrade("TTT").wait()
    assert model.resident_bytes == sum(expected)


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
@pytest.mark.parametrize("precision", ROUNDED)
def test_a_broken_piece_is_named(tmp_path, folder, precision, store):
  directory = tmp_path / "b"
  write(directory, trained("tiny_vit"), precision, precision, store=store)
  for piece in ("student/unit1", "teacher/unit2"):
    file = every_fault_is_named(directory, store, piece, piece)
  with (
    broken(file, "a bit"),
    open_model(directory, cache_dir=folder, retries=0) as model,
  ):
    with pytest.raises(errors.LoadFailed, match="teacher/unit2"):
      model.upgrade("TTT").wait()
    assert model.composition == "TTS"


def test_fitted_scales_are_what_is_stored(tmp_path):
  case = trained("tiny_vit")
  plain = of_texts("int8,float32,int4", "int4", 3)
  raw = noise(case.input, 16)
  inputs = np.asarray(to_network(raw, case.input))
  fitted = with_scales(case.swapnet, case.variables, plain, inputs)
  assert set(fitted.scales) == {
    *("student/unit0", "student/unit2"),
    *(f"teacher/unit{i}" for i in range(3)),
  }
  case.write(tmp_path / "b", precisions=fitted, platforms=("cpu",))
  bundle = open_bundle(tmp_path / "b")
  for piece, scales in fitted.scales.items():
    leaves = bundle.leaves(piece)
    for name, scale in scales.items():
      np.testing.assert_array_equal(leaves[f"{name}/scale"], scale)
  exact = case.logits(case.variables, inputs, "TTT")

  def error(precisions):
    rounded = case.rounded(precisions).variables
    return np.square(case.logits(rounded, inputs, "TTT") - exact).mean()

  assert error(fitted) < error(plain)


def test_scales_that_were_trained_with_are_not_fitted():
  case = trained("tiny_vit")
  wanted = of_texts("int8,float32,int4", "int4", 3)
  before = of_texts("int8,int4,int8", "float32", 3)
  inputs = np.asarray(to_network(noise(case.input, 4), case.input))
  fitted = with_scales(
    case.swapnet, case.variables, wanted, inputs, trained=before
  )
  assert set(fitted.scales) == {
    "student/unit2",
    *(f"teacher/unit{i}" for i in range(3)),
  }


def test_one_precision_for_all_units_or_one_for_each():
  assert parse("int8", 3, network="student") == ("int8",) * 3
  mixed = parse("int8, float32,int4", 3, network="student")
  assert mixed == ("int8", "float32", "int4")
  with pytest.raises(ValueError, match=r"teacher has 3 units.*of 2;"):
    parse("int8,int4", 3, network="teacher")
  with pytest.raises(ValueError, match=r"did you mean 'int8'.*bfloat16, int8"):
    parse("int88", 3, network="teacher")


def test_another_bundle_of_a_finished_run(tmp_path, capsys):
  config, workdir = get_config(), tmp_path / "run"
  config.stages = "teacher,distill,evaluate,export"
  config.export.platforms = ("cpu",)
  stages.run(config, workdir)
  before = manifests.read(workdir / "bundle")
  given = [f"--workdir={workdir}", "--student=int4", "--teacher=int4,int8,int8"]
  assert export.main([*given, "--fit_examples=20"]) == 0
  found = manifests.read(workdir / "bundle-int4-int4_int8_int8")
  assert manifests.read(workdir / "bundle") == before
  results = read(workdir / "report" / "results.json")
  assert found.compositions.keys() == results["compositions"].keys()
  assert found.pieces["student/unit0"].nbytes < (
    before.pieces["student/unit0"].nbytes / 2
  )
  assert found.ladder[0] == "SSS" and found.ladder[-1] == "TTT"
  assert found.config["export.student"] == "int4"
  assert "export.directory" not in found.config
  capsys.readouterr()
  assert export.main([f"--workdir={workdir}", "--student=int9"]) == 1
  assert "did you mean" in capsys.readouterr().err
  assert export.main([f"--workdir={tmp_path / 'none'}"]) == 1
  assert "is missing; give the --workdir" in capsys.readouterr().err
  fields = json.loads((workdir / "config.json").read_text())
  (workdir / "config.json").write_text(json.dumps(fields | {"data.mode": 1}))
  assert export.main([f"--workdir={workdir}"]) == 1
  assert "is no config of this pwl_jax" in capsys.readouterr().err
