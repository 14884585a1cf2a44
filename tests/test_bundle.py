"""A bundle answers what the networks that it was made of answer."""

import pathlib
import re

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from safetensors.numpy import load_file

from pwl_jax.bundle import memory
from pwl_jax.bundle.names import flat
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.data.inputs import noise
from pwl_jax.exporting import stored
from pwl_jax.method.converters import orthonormal
from tests.bundle_cases import handmade, trained, written
from tests.cases import assert_close

# One of each network, store, and kind of converter; of texts in another file.
CASES = {
  "tiny_resnet": ("orbax", dict()),
  "tiny_vgg": ("safetensors", dict(converter="orthogonal")),
  "tiny_vit": ("safetensors", dict(converter="residual")),
  "tiny_audio": ("safetensors", dict()),
}


@pytest.fixture(params=CASES)
def case(request):
  return trained(request.param, **CASES[request.param][1])


@pytest.fixture
def bundle(request, tmp_path_factory):
  name = request.node.callspec.params["case"]
  store, options = CASES[name]
  return open_bundle(written(tmp_path_factory, name, store, **options))


_compiled = {}


def compiled(bundle, piece, role="run"):
  key = bundle.manifest.pieces[piece].programs[role]
  if key not in _compiled:
    _compiled[key] = jax.jit(bundle.program(piece, role).call)
  return _compiled[key]


def answer(bundle, raw, word):
  """As a server does: only what is in the bundle, piece by piece."""
  manifest, feature = bundle.manifest, raw
  for i, letter in enumerate(word):
    boundary = manifest.boundary(i - 1) if i else None
    if boundary and letter != word[i - 1]:
      role = "decode" if letter == "T" else "encode"
      convert = compiled(bundle, boundary, role)
      feature = convert(bundle.leaves(boundary), feature)
    unit, node = manifest.unit(letter, i), manifest.node(word[: i + 1])
    leaves = bundle.leaves(unit)
    if node and manifest.compositions[word].calibrated:
      leaves |= bundle.leaves(node)
    feature = compiled(bundle, unit)(leaves, feature)
  return feature


@pytest.mark.parametrize("word", ["SSS", "TTT", "TST", "STT"])
def test_programs_and_arrays_chained_are_the_composition(case, bundle, word):
  raw = noise(case.input, 3)
  assert_close(answer(bundle, raw, word), case.golden(raw, word))


@pytest.mark.parametrize("batch", [1, 8])
def test_one_program_serves_any_batch_size(case, bundle, batch):
  raw = noise(case.input, batch)
  assert_close(answer(bundle, raw, "STS"), case.golden(raw, "STS"))


def test_statistics_of_their_own_make_a_difference():
  """Or the test above would not miss them."""
  case = trained("tiny_resnet")
  raw = noise(case.input, 3)
  plain = case.golden(raw, "TST", calibrated=False)
  gap = np.abs(case.golden(raw, "TST") - plain)
  assert gap.max() > 1e-2 * np.abs(plain).max()


def test_pieces_are_the_variables_bit_for_bit(case, bundle):
  variables = case.variables
  for role in ("teacher", "student"):
    for name, unit in variables[role].items():
      wanted = flat(unit)
      found = bundle.leaves(f"{role}/{name}")
      assert found.keys() == wanted.keys()
      for leaf, array in found.items():
        np.testing.assert_array_equal(array, wanted[leaf], strict=True)


def test_a_whole_bundle_is_found_whole(case, bundle):
  assert verify(bundle.directory) == []
  assert pathlib.Path(bundle.directory).stat().st_mode & 0o777 != 0o700


def test_bytes_of_a_composition_are_those_of_what_it_runs_on(case, bundle):
  manifest = bundle.manifest
  sizes = {
    name: sum(array.nbytes for array in bundle.leaves(name).values())
    for name in manifest.pieces
  }
  for word in ("SSS", "TSS", "TST"):
    used = [manifest.unit(letter, i) for i, letter in enumerate(word)]
    used += [manifest.boundary(i) for i in (0, 1) if word[i] != word[i + 1]]
    if manifest.compositions[word].calibrated:
      used += [manifest.node(word[:i]) for i in (2, 3)]
    known = [sizes[name] for name in used if name]
    assert manifest.compositions[word].nbytes == sum(known)
    assert manifest.bytes_of(word) == sum(known)


def test_what_a_composition_needs_is_named_in_order(tmp_path_factory):
  directory = written(tmp_path_factory, "tiny_resnet", "orbax")
  manifest = open_bundle(directory).manifest
  assert manifest.pieces_of("SST") == (
    "student/unit0", "student/unit1", "converters/boundary1", "teacher/unit2"
  )  # fmt: skip
  assert manifest.pieces_of("TSS") == (
    "teacher/unit0", "converters/boundary0", "student/unit1",
    "calibration/TS", "student/unit2", "calibration/TSS",
  )  # fmt: skip


@pytest.mark.parametrize("way", ["orbax", "safetensors"])
def test_the_libraries_themselves_read_the_pieces(tmp_path_factory, way):
  name = {"orbax": "tiny_resnet", "safetensors": "tiny_vit"}[way]
  directory = written(tmp_path_factory, name, way)
  bundle = open_bundle(directory)
  if way == "orbax":
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
      items = checkpointer.restore((directory / "weights").absolute())
      nodes = checkpointer.restore((directory / "calibration").absolute())
    trees = {**dict(items.items()), **dict(nodes.items())}
    found = {item: flat(tree) for item, tree in trees.items()}
  else:
    found = {
      path.stem: load_file(path) for path in (directory / "weights").iterdir()
    }
  assert len(found) == len(bundle.manifest.pieces)
  for piece in bundle.manifest.pieces:
    theirs, ours = found[piece.replace("/", "-")], bundle.leaves(piece)
    assert theirs.keys() == ours.keys()
    for leaf in ours:
      np.testing.assert_array_equal(theirs[leaf], ours[leaf])


def test_programs_hold_no_weights_and_run_everywhere(case, bundle):
  constants = {}
  for name, piece in bundle.manifest.pieces.items():
    for role in piece.programs:
      program = bundle.program(name, role)
      assert program.platforms == ("cpu", "cuda", "tpu")
      text = program.mlir_module()
      # How constants of any size are shown.
      constants[name] = re.findall('dense<"0x[0-9A-F]+', text)
      assert ".py" not in text
      # The only one whose meaning every later jax keeps; no QR, in particular.
      calls = set(re.findall(r"custom_call @(\w+)", text))
      assert calls <= {"shape_assertion"}
  if case.input.kind == "sounds":  # Tables of the spectrogram, in both alike.
    of_teacher = constants.pop("teacher/unit0")
    assert of_teacher and of_teacher == constants.pop("student/unit0")
  assert not any(constants.values())


def test_units_that_do_the_same_share_a_program(tmp_path_factory):
  pieces = open_bundle(written(tmp_path_factory, "tiny_vit", "safetensors"))
  found = pieces.manifest.pieces
  first, second = (found[f"converters/boundary{i}"].programs for i in (0, 1))
  assert first == second
  assert first["encode"] != first["decode"]


def test_orthogonal_converters_are_the_affine_maps_they_are(tmp_path_factory):
  options = dict(converter="orthogonal")
  directory = written(tmp_path_factory, "tiny_vgg", "safetensors", **options)
  found = open_bundle(directory).leaves("converters/boundary0")
  case = trained("tiny_vgg", **options)
  weight = case.variables["converters"]["boundary0"]["params"]["weight"]
  np.testing.assert_allclose(
    found["params/encoder/kernel"], orthonormal(weight), atol=1e-6
  )
  np.testing.assert_array_equal(
    found["params/decoder/kernel"], found["params/encoder/kernel"].T
  )


def test_converters_that_were_fitted_again_are_the_ones_served(tmp_path):
  case = trained("tiny_resnet")
  fitted = jax.tree.map(lambda a: 2 * a, case.variables["converters"])
  improvements = case.improvements._replace(converters=fitted)
  case.write(tmp_path / "b", improvements=improvements, store="safetensors")
  found = open_bundle(tmp_path / "b").leaves("converters/boundary1")
  wanted = flat(fitted["boundary1"])
  for leaf, array in found.items():
    np.testing.assert_array_equal(array, wanted[leaf])


def test_a_network_that_computes_in_bfloat16(tmp_path):
  """What its programs give was checked against it when it was written."""
  case = trained("tiny_vgg", dtype=jax.numpy.bfloat16)
  case.write(tmp_path / "b", store="safetensors", platforms=("cpu",))
  bundle = open_bundle(tmp_path / "b")
  (feature,) = bundle.program("student/unit1").out_avals
  assert feature.dtype == "bfloat16"
  assert bundle.program("student/unit2").out_avals[0].dtype == "float32"


def test_a_program_that_does_something_else_is_not_written(
  tmp_path, monkeypatch
):
  def doubled(swapnet, converters):
    return swapnet, jax.tree.map(lambda a: 2 * a, converters), frozenset()

  monkeypatch.setattr(stored, "with_affine_converters", doubled)
  with pytest.raises(ValueError, match="program of converters/boundary0"):
    trained("tiny_vit").write(tmp_path / "b")
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  "options,message",
  [
    (dict(store="zip"), "orbax, safetensors"),
    (dict(platforms=("tpu",)), "without cpu"),
    (dict(class_names=["one"]), "1 class names for 10"),
    (dict(ladder=["SSSS"]), "3 letters"),
  ],
)
def test_what_does_not_fit_is_refused_at_once(tmp_path, options, message):
  with pytest.raises(ValueError, match=message):
    trained("tiny_vit").write(tmp_path / "b", **options)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_every_kind_of_array_comes_back(tmp_path, store):
  rng = np.random.default_rng(0)
  bfloat16 = jax.numpy.bfloat16
  arrays = {
    "params/matrix": rng.normal(size=(700, 900)).astype(np.float32),
    "params/half": rng.normal(size=(3, 5)).astype(np.float16),
    "params/brain": rng.normal(size=(5, 3)).astype(bfloat16),
    "params/number": np.float32(rng.normal()) * np.ones(()),
    "params/count": rng.integers(-9, 9, size=4).astype(np.int8),
    "params/mask": rng.random(7) < 0.5,
  }
  arrays = {
    name: np.asarray(a, np.float32 if a.ndim == 0 else a.dtype)
    for name, a in arrays.items()
  }
  directory = handmade(tmp_path / "b", store, {"student/unit0": arrays})
  read = []
  found = open_bundle(directory).leaves("student/unit0", read.append)
  assert sum(read) == sum(array.nbytes for array in arrays.values())
  assert max(read) <= memory.STEP
  for name, array in arrays.items():
    np.testing.assert_array_equal(found[name], array, strict=True)
    assert found[name].ctypes.data % memory.ALIGNMENT == 0
    assert not found[name].flags.writeable
