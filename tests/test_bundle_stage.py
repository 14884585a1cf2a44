"""The stage that exports: what it refuses at once, and when it is done."""

import types

import numpy as np
import pytest

from pwl_jax import exported
from pwl_jax.bundle import manifest as manifests
from pwl_jax.evaluation.improvements import NOTHING
from tests.bundle_cases import FAULTS, broken, copied, rewritten, written

IDENTITY = {"evaluate": "of this", "fields": {}}


@pytest.fixture
def context(tmp_path_factory, tmp_path, monkeypatch):
  """Of a run whose bundle was written from what is there."""
  monkeypatch.setattr(exported.evaluated, "is_current", lambda *a: True)
  monkeypatch.setattr(exported, "_identity", lambda context: IDENTITY)
  monkeypatch.setattr(exported.trained, "current", lambda context: ())
  whole = written(tmp_path_factory, "tiny_vit", "safetensors")
  copy = copied(whole, tmp_path).rename(tmp_path / exported.BUNDLE)

  def made_of_this(fields):
    fields["config"] |= {exported.OF: IDENTITY}

  rewritten(copy, made_of_this)
  return types.SimpleNamespace(
    workdir=tmp_path,
    swapnet=types.SimpleNamespace(num_units=3),
    export_format="orbax",
    export_platforms=("cpu", "tpu"),
    export_precisions=("float32", "int8,int8,float32"),
    export_fit_examples=0,
    export_directory="",
  )


@pytest.mark.parametrize("fault", FAULTS)
def test_only_a_whole_bundle_is_done(context, fault):
  bundle = context.workdir / exported.BUNDLE
  assert exported.is_current(context, exported.NAME)
  for path in ("weights/student-unit1.safetensors", manifests.NAME,
               "programs/teacher-unit0.run.bin"):  # fmt: skip
    with broken(bundle / path, fault):
      assert not exported.is_current(context, exported.NAME), path
  assert exported.is_current(context, exported.NAME)
  rewritten(bundle, lambda fields: fields["config"].clear())
  assert not exported.is_current(context, exported.NAME)


@pytest.mark.parametrize(
  "changes,message",
  [
    (dict(export_format="zip"), r"export\.format 'zip'"),
    (dict(export_platforms=("tpu",)), r"config\.export\.platforms.*'cpu'"),
    (dict(export_precisions=("int3", "int8")), "precision of the student"),
    (dict(export_precisions=("int8", "int8,int4")), "teacher has 3 units"),
    (dict(export_fit_examples=-1), r"export\.fit_examples is -1"),
    (dict(export_platforms=tuple("cpu")), r"config\.export\.platforms.*'c'"),
  ],
)
def test_what_cannot_be_exported_is_refused_before_training(
  context, changes, message
):
  vars(context).update(changes)
  with pytest.raises(ValueError, match=message):
    exported.check(context, exported.NAME, exported.NEEDS)


def test_a_place_that_is_no_bundle_is_refused_before_training(context):
  exported.check(context, exported.NAME, exported.NEEDS)
  (context.workdir / exported.BUNDLE / manifests.NAME).write_text("{}")
  with pytest.raises(ValueError, match="is no bundle; move it away"):
    exported.check(context, exported.NAME, exported.NEEDS)


def test_paths_of_this_machine_stay_here(context, monkeypatch):
  given = {}
  monkeypatch.setattr(
    exported, "write_bundle", lambda directory, **options: given.update(options)
  )
  dataset = types.SimpleNamespace(
    input_shape=(2, 2, 1), class_names=(), train=np.zeros(3)
  )
  context.session = types.SimpleNamespace(
    data=types.SimpleNamespace(dataset=dataset, input=None)
  )
  context.fields = {
    "data.name": "digits",
    "data.data_dir": "/home/ada/data",
    "data.cache_dir": "/home/ada/cache",
    "imported.path": "/home/ada/teacher",
    "export.directory": "/home/ada/bundle",
  }
  measured = exported.Measured({}, [], NOTHING)
  exported._write(context, context.workdir, {}, None, measured)
  assert given["config"] == {"data.name": "digits", exported.OF: IDENTITY}
