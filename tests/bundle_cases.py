"""Small bundles, each written once, and the ways in which files break."""

import contextlib
import copy
import functools
import hashlib
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import storing
from pwl_jax.bundle.inputs import SoundInput
from pwl_jax.bundle.manifest import (
  Composition,
  ImageInput,
  Leaf,
  Manifest,
  Piece,
)
from pwl_jax.bundle.parts import Damaged, weights_place
from pwl_jax.bundle.reading import open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.bundle.write import write_bundle
from pwl_jax.data.inputs import to_network
from pwl_jax.evaluation.calibration import nodes_to_calibrate
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.exporting.pieces import served_variables
from pwl_jax.exporting.stored import Stored
from pwl_jax.method import composition as compositions
from pwl_jax.method.swapnet import SwapNet
from tests.cases import Case, draw

PROGRAM = b"nobody runs it"
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
RATE = 8000  # Of sounds, per second.


class Trained(Case):
  """A swap network with whatever an evaluation may have found for it."""

  def __init__(self, name, *, converter="auto", **options):
    networks = models.create_pair(name, **options)
    super().__init__(SwapNet.create(*networks, converter=converter))
    shape = self.swapnet.teacher.input_shape
    if len(shape) == 1:
      self.input = SoundInput(*shape, RATE)
    else:
      self.input = ImageInput(shape, MEAN, DEVIATION, "exact")
    rng = np.random.default_rng(3)
    words = compositions.every(self.swapnet.num_units)
    calibrated = tuple(w for w in words if w.startswith(("TS", "STT")))
    shapes = self.swapnet.abstract_variables()
    statistics = {}
    for node in nodes_to_calibrate(self.swapnet, words):
      unit = self.swapnet.unit(shapes, len(node) - 1, node[-1])[1]
      statistics[node] = jax.tree.map(
        lambda leaf: draw(rng, leaf), unit["batch_stats"]
      )
    self.improvements = Improvements(statistics, calibrated, {})

  def write(self, directory, **options):
    num_units = self.swapnet.num_units
    words = compositions.every(num_units)
    return write_bundle(
      directory,
      **dict(
        swapnet=self.swapnet,
        variables=self.variables,
        improvements=self.improvements,
        input=self.input,
        class_names=[f"class {i}" for i in range(10)],
        compositions={
          word: Composition(0, 0.5, 0.25 + 0.01 * i, False)
          for i, word in enumerate(words)
        },
        ladder=compositions.prefix(num_units),
        config={"model.preset": "tiny", "augment.rotate": 15.0},
      )
      | options,
    )

  def stored(self, precisions):
    own = served_variables(self.swapnet, self.variables, self.improvements)
    return Stored.of(self.swapnet, own, precisions)

  def rounded(self, precisions):
    """The case whose networks are as a bundle serves them."""
    served = copy.copy(self)
    served.variables = self.stored(precisions).as_served()
    return served

  def golden(self, raw, word, calibrated=True):
    """What the networks answer, with what is used for this composition."""
    variables = self.variables
    if calibrated:
      variables = self.improvements.applied(variables, word)
    return self.logits(variables, to_network(raw, self.input), word)


@functools.cache
def trained(name, **options):
  return Trained(name, **options)


_written = {}


def written(factory, name, store, **options):
  """The directory of a bundle that no test changes."""
  key = name, store, *sorted(options.items())
  if key not in _written:
    directory = factory.mktemp("bundle") / name
    trained(name, **options).write(directory, store=store)
    _written[key] = directory
  return _written[key]


def copied(directory, tmp_path):
  return pathlib.Path(shutil.copytree(directory, tmp_path / "copy"))


def handmade(directory, store, pieces):
  """A bundle of arrays, whose programs do nothing: it is made at once."""
  directory.mkdir()
  storing.store(directory, store, pieces)
  files = {
    str(path.relative_to(directory)): sha256(path.read_bytes())
    for path in directory.rglob("*")
    if path.is_file()
  }
  num_units = sum(name.startswith("student/") for name in pieces)
  units = [f"{role}/unit{i}" for role in compositions.ROLES.values()
           for i in range(num_units)]  # fmt: skip
  (directory / "programs").mkdir()
  for unit in units:
    (directory / manifests.program_file(unit, "run")).write_bytes(PROGRAM)
  described = {
    name: Piece(
      {
        leaf: Leaf(str(array.dtype), array.shape, sha256(array.tobytes()))
        for leaf, array in pieces.get(name, {}).items()
      },
      {"run": sha256(PROGRAM)} if name in units else {},
    )
    for name in [*pieces, *(unit for unit in units if unit not in pieces)]
  }
  manifest = Manifest(
    num_units=num_units,
    input=ImageInput((1, 1, 1), (0.5,), (0.25,), "exact"),
    class_names=("a", "b"),
    store=store,
    pieces=described,
    compositions={},
    ladder=tuple(compositions.prefix(num_units)),
    config={},
    versions={"pwl_jax": "0", "jax": "0"},
    platforms=("cpu",),
    files=files,
  )
  (directory / manifests.NAME).write_text(manifests.to_json(manifest))
  return directory


def rewritten(directory, change):
  """The same with a manifest that was changed, and whose digest is right."""
  path = directory / manifests.NAME
  fields = json.loads(path.read_text())
  version = fields.pop("format")
  change(fields)
  fields = {"format": version, **fields, "sha256": "0" * 64}
  written = json.dumps(fields)
  head, _, tail = written.rpartition("0" * 64)
  path.write_text(head + sha256(written.encode()) + tail)
  return directory


def sha256(written):
  return hashlib.sha256(written).hexdigest()


def flip(path, place=0.5):
  """One bit of it."""
  written = bytearray(path.read_bytes())
  written[int(place * (len(written) - 1))] ^= 4
  path.write_bytes(written)


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FAULTS = {
  "first byte": functools.partial(flip, place=0),
  "a bit": flip,
  "last byte": functools.partial(flip, place=1),
  "cut": truncate,
  "emptied": lambda path: path.write_bytes(b""),
  "deleted": pathlib.Path.unlink,
}


@contextlib.contextmanager
def broken(path, fault):
  """A file that is damaged, and whole again afterwards."""
  before = path.read_bytes()
  FAULTS[fault](path)
  try:
    yield
  finally:
    path.write_bytes(before)


def every_fault_is_named(directory, store, stored, read):
  """Damages the largest file of a piece; reading what needs it says so.

  Returns the file.
  """
  place = directory / weights_place(stored, store)
  files = [f for f in (place, *place.rglob("*")) if f.is_file()]
  file = max(files, key=lambda f: f.stat().st_size)
  for fault in FAULTS:
    if (store, fault) == ("orbax", "last byte"):
      continue  # Its own, which no reader looks at.
    with broken(file, fault):
      with pytest.raises(Damaged, match=stored):
        open_bundle(directory).leaves(read)
      assert any(stored in found for found in verify(directory))
  return file
