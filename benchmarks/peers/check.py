"""Whether the PyTorch peer computes what `pwl_jax` computes.

  python -m benchmarks.peers.check --preset=tiny_resnet

Both get the same weights and the same batch, in float32. Compared are logits of
every composition, the five losses for one composition, the gradients of student
and converters, how two steps of distillation move the parameters, and how a
step of the teacher's own moves its. All have to agree to 1e-4 of the largest
value of a tensor, or of a share of the largest one of all where that is more:
biases before a batch norm have no gradient but rounding, and a step is added to
weights that are far larger. The teacher's step is compared with the peer's in
float64: in deep networks with batch norms the peer's rounding is a half of a
percent. Running averages are not compared: PyTorch's are of the unbiased
variance.
"""

import argparse
import functools
import sys
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from benchmarks.peers import step as peer
from benchmarks.peers import swapnet as peer_networks
from benchmarks.peers import weights
from pwl_jax import models
from pwl_jax.evaluation.tree import all_logits
from pwl_jax.method import composition as compositions
from pwl_jax.method.objective import PARTS, make_objective
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import split
from pwl_jax.training.losses import classification_loss
from pwl_jax.training.recipe import Recipe, make_tx

TOLERANCE = 1e-4
STEPS = 2  # Of distillation, so that the momentum counts.
EPOCH = 10**6  # Steps; the learning rate is the first one throughout.

Arrays = Mapping[str, np.ndarray]


def main(argv: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.peers.check", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--preset", default="tiny_resnet")
  parser.add_argument("--batch_size", type=int, default=8)
  given = parser.parse_args(argv)
  case = Case(given.preset, given.batch_size)
  worst = {}
  for compare in (case.logits, case.losses, case.distill, case.teacher):
    worst |= compare()
  for what, (error, where) in worst.items():
    verdict = "same" if error <= TOLERANCE else f"DIFFERS, most in {where}"
    print(f"{given.preset}: {what}: {error:.1e} {verdict}")
  return int(any(error > TOLERANCE for error, _ in worst.values()))


class Case:
  """Both implementations with the same weights, and a batch for them."""

  def __init__(self, preset: str, batch_size: int):
    self.preset = preset
    self.swapnet = SwapNet.create(*models.create_pair(preset))
    rng = np.random.default_rng(0)
    abstract = self.swapnet.abstract_variables()
    self.variables = jax.tree.map(lambda leaf: draw(rng, leaf), abstract)
    self.params, self.stats = split(self.variables)
    del self.params["teacher"], self.stats["teacher"]
    network = self.swapnet.teacher
    x = rng.normal(size=(batch_size, *network.input_shape)).astype(np.float32)
    labels = rng.integers(0, network.num_classes, batch_size)
    self.ours = jnp.asarray(x), jnp.asarray(labels, jnp.int32)
    self.theirs = torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(labels)
    n = self.swapnet.num_units
    # Both kinds of switch, and a student in front that has to learn from it.
    self.word = ("STTS" + "TS" * n)[:n]

  def net(self) -> peer_networks.SwapNet:
    net = peer_networks.of_preset(self.preset)
    weights.load(net, self.variables)
    return net

  def logits(self):
    net, n = self.net().eval(), self.swapnet.num_units
    words = tuple(compositions.every(n))
    logits = jax.jit(lambda v, x: all_logits(self.swapnet, v, x, words))
    ours = dict(zip(words, logits(self.variables, self.ours[0]), strict=True))
    with torch.no_grad():
      theirs = {word: net.compose(self.theirs[0], word) for word in words}
    return {f"logits of {2**n} compositions": compared(ours, theirs)}

  def losses(self):
    """And their gradients, which are those of the first step."""
    grads, found = self.gradient(self.params, self.stats)
    net = self.net()
    theirs = peer.distill_losses(net, *self.theirs, self.word)
    sum(theirs.values()).backward()
    ours = {name: found.parts[name] for name in PARTS}
    slopes = {n: t.grad for n, t in weights.named(net) if t.requires_grad}
    return {
      f"losses with {self.word}": compared(ours, theirs),
      "gradients": compared(weights.renamed(grads), slopes),
    }

  def distill(self):
    ours = descend(self.gradient, self.params, self.stats, steps=STEPS)
    net = self.net()
    step = peer.make_distill_step(net)
    for _ in range(STEPS):
      step(*self.theirs, word=self.word)
    kept = {"teacher": self.variables["teacher"]}
    theirs = dict(weights.named(net))
    kept = weights.renamed(weights.without_collections(kept))
    return {
      f"what {STEPS} steps change": moved(self.params, ours, theirs),
      "the teacher after them": compared(
        kept, {name: theirs[name] for name in kept}
      ),
    }

  def teacher(self):
    params, stats = split({"teacher": self.variables["teacher"]})
    loss = classification_loss(self.swapnet.teacher, "teacher")
    x, labels = self.ours
    targets = jax.nn.one_hot(labels, self.swapnet.teacher.num_classes)

    @jax.jit
    def gradient(x, targets, params, stats):
      args = params, stats, {}, x, targets, None
      return jax.grad(loss, has_aux=True)(*args)

    gradient = functools.partial(gradient, x, targets)
    ours = descend(gradient, params, stats, steps=1)
    net = self.net().double()
    x, labels = self.theirs
    peer.make_teacher_step(net.teacher)(x.double(), labels)
    found = moved(params, ours, dict(weights.named(net)))
    return {"what a step of the teacher changes": found}

  @functools.cached_property
  def gradient(self):
    """(params, stats) -> of the objective for one composition; and losses."""
    objective = make_objective(self.swapnet, composition=self.word)
    teacher, key = self.variables["teacher"], jax.random.key(0)

    @jax.jit
    def gradient(batch, params, stats):
      args = params, stats, teacher, *batch, key
      return jax.grad(objective, has_aux=True)(*args)

    return functools.partial(gradient, self.ours)


def draw(rng, leaf) -> jax.Array:
  """Vectors (biases, scales, statistics) around 1, kernels by their fan-in."""
  noise = rng.normal(size=leaf.shape)
  if leaf.ndim == 1:
    return jnp.asarray(1 + 0.3 * np.tanh(noise), leaf.dtype)
  fan_in = np.prod(leaf.shape[:-1])
  return jnp.asarray(noise / fan_in**0.5, leaf.dtype)


def descend(gradient, params, stats, *, steps: int):
  """The parameters after some steps with the paper's optimiser."""
  tx = make_tx(Recipe(), EPOCH)
  state = tx.init(params)
  for _ in range(steps):
    grads, _ = gradient(params, stats)
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return params


def moved(start, ours, theirs) -> tuple[float, str]:
  """Of parameters that both began with."""
  start, ours = weights.renamed(start), weights.renamed(ours)
  return compared(
    {name: array - start[name] for name, array in ours.items()},
    {name: theirs[name] - torch.tensor(start[name]) for name in ours},
    share=0.1,
  )


def compared(
  ours: Arrays, theirs: Mapping, *, share: float = 0.01
) -> tuple[float, str]:
  """The largest difference, as a share of what is compared, and where."""
  ours = {name: np.asarray(array) for name, array in ours.items()}
  theirs = {name: t.detach().numpy() for name, t in theirs.items()}
  if ours.keys() != theirs.keys():
    return np.inf, ", ".join(sorted(ours.keys() ^ theirs.keys()))
  floor = share * max(np.abs(array).max() for array in ours.values())
  errors = {
    name: float(np.abs(array - theirs[name]).max())
    / max(np.abs(array).max(), floor)
    for name, array in ours.items()
  }
  where = max(errors, key=errors.get)
  return errors[where], where


if __name__ == "__main__":
  sys.exit(main())
