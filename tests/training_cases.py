"""A swap network that compiles in a moment, and a job that trains it."""

import jax
import numpy as np
from flax import linen as nn
from rich.console import Console

from pwl_jax.bundle.inputs import TextInput
from pwl_jax.data.dataset import Split, channel_statistics, make_dataset
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.artefacts import load_variables, placed
from pwl_jax.training.interruption import Request
from pwl_jax.training.job import Job
from pwl_jax.training.losses import classification_loss, distillation_loss
from pwl_jax.training.parallel import sharding
from pwl_jax.training.recipe import Recipe
from pwl_jax.training.running import run_job
from pwl_jax.training.session import Data, Machine, Session


class Unit(nn.Module):
  """A dense layer over channels with a batch norm; the last adds a head."""

  width: int
  num_classes: int | None = None
  sync_axis: str | None = None

  @nn.compact
  def __call__(self, x, *, train):
    x = nn.Dense(self.width, name="dense")(x)
    x = nn.BatchNorm(not train, axis_name=self.sync_axis, name="norm")(x)
    x = nn.relu(x)
    if self.num_classes is None:
      return x
    return nn.Dense(self.num_classes, name="head")(x.mean((1, 2)))


def network(*widths, sync_axis=None, num_classes=4):
  last = len(widths) - 1
  units = tuple(
    Unit(width, num_classes if i == last else None, sync_axis)
    for i, width in enumerate(widths)
  )
  return Network(units, (8, 8, 3))


def swap_network(sync_axis=None):
  return SwapNet.create(network(8, 8), network(4, 8, sync_axis=sync_axis))


def dataset():
  """Each class has a colour of its own, in noise."""
  rng = np.random.default_rng(0)

  def draw(n):
    labels = np.arange(n, dtype=np.int32) % 4
    colours = 60 * np.eye(4)[labels][:, None, None, :3]
    images = 90 + colours + rng.normal(scale=30, size=(n, 8, 8, 3))
    return Split(images.clip(0, 255).astype(np.uint8), labels)

  return make_dataset("colours", draw(200), draw(40))


def data(mine=None, **changes):
  mine = mine or dataset()
  mean, deviation = map(tuple, channel_statistics(mine.train))
  input = mine.input._replace(mean=mean, deviation=deviation)
  return Data(mine, input, changes)


def text_data():
  """Each class has a token of its own, in others, and padding behind them."""
  rng = np.random.default_rng(0)

  def draw(n):
    labels = np.arange(n, dtype=np.int32) % 4
    ids = rng.integers(5, 50, size=(n, 6), dtype=np.int32)
    ids = np.where(np.arange(6) < rng.integers(1, 7, (n, 1)), ids, 0)
    ids[:, 0] = 1 + labels
    return Split(ids, labels)

  input = TextInput(6, "")
  return Data(
    make_dataset("tokens", draw(200), draw(40), input=input), input, {}
  )


def teacher_job(num_classes=4):
  teacher = network(8, 8, num_classes=num_classes)
  loss = classification_loss(teacher, "teacher")
  return Job(
    "teacher",
    loss_at=lambda step: loss,
    init=lambda key, inputs, start: {"teacher": teacher.init(key)},
    frozen={},
    logits=lambda variables, x: teacher.logits(variables["teacher"], x),
  )


def distill_job(sync_axis=None, **options):
  swapnet = swap_network(sync_axis)
  loss = distillation_loss(swapnet, **options)
  teacher = swapnet.teacher.init(jax.random.key(5))

  def init(key, inputs, start):
    variables = swapnet.init(key, teacher=teacher)
    return {k: v for k, v in variables.items() if k != "teacher"}

  return Job(
    "distill",
    loss_at=lambda step: loss,
    init=init,
    frozen={"teacher": teacher},
    logits=lambda variables, x: swapnet.logits(variables, x, "SS"),
  )


RECIPE = Recipe(epochs=2, batch_size=32)


def run(
  job,
  directory,
  *,
  devices=1,
  recipe=RECIPE,
  request=None,
  report=None,
  examples=None,
  **machine,
):
  """Trains on the first of the devices; returns the result."""
  session = Session(
    data=examples or data(crop=1, flip=True),
    machine=Machine(jax.devices()[:devices], **machine),
    seed=3,
    console=Console(quiet=True),
    report=report,
    request=Request() if request is None else request,
  )
  return run_job(job, directory, recipe=recipe, session=session)


def made_by(directory, job):
  """The variables of a complete job."""
  shapes = jax.eval_shape(lambda: job.init(jax.random.key(0), None, job.start))
  return load_variables(directory, placed(shapes, sharding(jax.devices()[:1])))
