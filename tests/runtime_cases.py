"""Models that serve, what they should answer, and ways to hold them up."""

import threading

import numpy as np

from pwl_jax.method import composition as compositions
from pwl_jax.runtime.holdings import Holdings
from tests.bundle_cases import trained
from tests.cases import assert_close

WORDS = compositions.every(3)


def images_of(count, seed=0, name="tiny_resnet"):
  shape = trained(name).swapnet.teacher.input_shape
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (count, *shape), np.uint8)


def change(model, **fields):
  """Another manifest, in all that reads it."""
  manifest = model.manifest._replace(**fields)
  object.__setattr__(model._serving.bundle, "manifest", manifest)
  climber = model._climber
  climber._memory = climber._memory._replace(manifest=manifest)


def sizes_of(model):
  pieces = model.manifest.pieces
  return {
    word: sum(pieces[p].nbytes for p in model.manifest.pieces_of(word))
    for word in WORDS
  }


def answers_as(model, word):
  """It serves this composition, and answers by it."""
  images = images_of(2)
  assert model.composition == word
  golden = trained("tiny_resnet").golden(images, word)
  assert_close(model(images), golden, 1e-4)


class Gate:
  """Holds every load until it is opened, and tells of the first."""

  def __init__(self, monkeypatch):
    self.reached, self.open = threading.Event(), threading.Event()
    read = Holdings.read

    def gated(holdings, piece, pace):
      self.reached.set()
      assert self.open.wait(60)
      return read(holdings, piece, pace)

    monkeypatch.setattr(Holdings, "read", gated)
