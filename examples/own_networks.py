"""A teacher and a student of your own: trained, measured, stored, served.

  python -m examples.own_networks

The networks are plain Flax modules, three units each, for the digits that come
with the package; the loop is plain optax. It takes one or two minutes on two
CPU cores and leaves a bundle in runs/own_networks.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

import pwl_jax
from pwl_jax.bundle.manifest import Composition, ImageInput
from pwl_jax.bundle.write import write_bundle
from pwl_jax.data.batches import epoch_order
from pwl_jax.data.dataset import channel_statistics
from pwl_jax.data.digits import load_digits
from pwl_jax.data.inputs import to_network
from pwl_jax.evaluation.improvements import NOTHING
from pwl_jax.evaluation.ladder import best_ladder
from pwl_jax.evaluation.tree import all_logits
from pwl_jax.method import composition as compositions
from pwl_jax.method.losses import hard_loss
from pwl_jax.method.network import Network
from pwl_jax.method.objective import make_objective
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import count_parameters, merge, split

BATCH = 64


class Unit(nn.Module):
  """Two convolutions at one width, the first strided; the last has the head."""

  width: int
  stride: int
  num_classes: int | None = None

  @nn.compact
  def __call__(self, x, *, train):
    for i, stride in enumerate((self.stride, 1)):
      x = nn.Conv(self.width, (3, 3), stride, name=f"conv{i}")(x)
      x = nn.relu(nn.LayerNorm(name=f"norm{i}")(x))
    if self.num_classes is None:
      return x
    return nn.Dense(self.num_classes, name="head")(x.mean(axis=(1, 2)))


def network(first, second, third):
  """Both differ in widths alone, so their units can take turns."""
  units = Unit(first, 1), Unit(second, 2), Unit(third, 2, num_classes=10)
  return Network(units, input_shape=(8, 8, 1))


def minimise(loss, params, data, *, epochs):
  """Of loss(params, images, labels, key), by Adam."""
  images, labels = data
  steps = len(labels) // BATCH
  tx = optax.adam(optax.cosine_decay_schedule(4e-3, epochs * steps))

  @jax.jit
  def step(params, opt_state, rows, key):
    grads = jax.grad(loss)(params, images[rows], labels[rows], key)
    updates, opt_state = tx.update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state

  opt_state = tx.init(params)
  for epoch in range(epochs):
    order = epoch_order(len(labels), seed=0, epoch=epoch)
    for i, rows in enumerate(order[: steps * BATCH].reshape(steps, BATCH)):
      key = jax.random.key(epoch * steps + i)
      params, opt_state = step(params, opt_state, rows, key)
  return params


def train(swapnet, data, *, epochs):
  """The teacher alone; then, for all compositions, student and converters."""
  variables = swapnet.init(jax.random.key(0))

  def teacher_loss(teacher, images, labels, key):
    logits = swapnet.teacher.logits(teacher, images)
    return jnp.mean(hard_loss(logits, labels))

  teacher = minimise(teacher_loss, variables["teacher"], data, epochs=epochs)
  variables["teacher"] = teacher
  variables["converters"] = swapnet.fit_converters(variables, data[0])
  params, batch_stats = split(  # These networks have none of the latter.
    {role: variables[role] for role in ("student", "converters")}
  )
  objective = make_objective(swapnet)

  def swap_loss(params, images, labels, key):
    return objective(params, batch_stats, teacher, images, labels, key)[0]

  params = minimise(swap_loss, params, data, epochs=2 * epochs)
  return merge(params, batch_stats) | {"teacher": teacher}


def measure(swapnet, variables, data):
  """Every composition -> the share of these examples it answers rightly."""
  words = tuple(compositions.every(swapnet.num_units))
  answer = jax.jit(all_logits, static_argnums=(0, 3))
  logits = answer(swapnet, variables, data[0], words)
  right = (logits.argmax(axis=-1) == data[1]).mean(axis=-1)
  return dict(zip(words, right.tolist(), strict=True))


def main(arguments=None):
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--out", type=pathlib.Path, default="runs/own_networks")
  parser.add_argument("--epochs", type=int, default=15)
  options = parser.parse_args(arguments)

  digits = load_digits()
  statistics = map(tuple, channel_statistics(digits.train))
  pixels = ImageInput(digits.input_shape, *statistics, "exact")
  data, held_out, test = (
    (to_network(split.inputs, pixels), jnp.asarray(split.labels))
    for split in (digits.train, digits.valid, digits.test)
  )

  swapnet = SwapNet.create(network(32, 64, 96), network(4, 6, 8))
  variables = train(swapnet, data, epochs=options.epochs)
  for role in ("teacher", "student"):
    print(f"{role}: {count_parameters(variables[role]):,} parameters")

  # Held-out examples choose the order of loading, test examples judge it.
  chosen_by = measure(swapnet, variables, held_out)
  judged_by = measure(swapnet, variables, test)
  sizes = [4 * count_parameters(unit) for unit in variables["teacher"].values()]
  ladder = best_ladder(chosen_by, sizes)
  for word, accuracy in judged_by.items():
    rung = "  on the way" if word in ladder.rungs else ""
    print(f"  {word} {accuracy:.1%}{rung}")

  bundle = options.out / "bundle"
  write_bundle(
    bundle,
    swapnet=swapnet,
    variables=variables,
    improvements=NOTHING,
    input=pixels,
    class_names=digits.class_names,
    compositions={
      word: Composition(0, chosen_by[word], judged_by[word], False)
      for word in chosen_by
    },
    ladder=ladder.rungs,
    config={"made by": "examples/own_networks.py"},
    store="safetensors",
  )

  with pwl_jax.open(bundle) as model:
    few = digits.test.inputs[:16]
    print(f"labels    {digits.test.labels[:16]}")
    print(f"{model.composition} says  {model(few).argmax(axis=-1)}")
    model.upgrade(policy="every").wait()
    print(f"{model.composition} says  {model(few).argmax(axis=-1)}")
    for event in model.events:
      print(f"  {event.seconds:.3f} s  {event.kind} {event.text}")


if __name__ == "__main__":
  main()
