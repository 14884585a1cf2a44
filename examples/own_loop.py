"""A training loop of your own, from two networks to a bundle that is served.

  python -m examples.own_loop

The networks are those of `own_networks.py`; the loop is plain optax, and calls
the parts of pwl_jax as the functions that they are. It takes one or two minutes
on two CPU cores and leaves a bundle in runs/own_loop.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import optax

import pwl_jax
from examples.own_networks import units
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
  parser.add_argument("--out", type=pathlib.Path, default="runs/own_loop")
  parser.add_argument("--epochs", type=int, default=15)
  options = parser.parse_args(arguments)

  digits = load_digits()
  statistics = map(tuple, channel_statistics(digits.train))
  pixels = ImageInput(digits.input_shape, *statistics, "exact")
  data, held_out, test = (
    (to_network(split.inputs, pixels), jnp.asarray(split.labels))
    for split in (digits.train, digits.valid, digits.test)
  )

  teacher, student = (
    Network(units(widths), digits.input_shape)
    for widths in ((32, 64, 96), (4, 6, 8))
  )
  swapnet = SwapNet.create(teacher, student)
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
    config={"made by": "examples/own_loop.py"},
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
