"""How something is trained, in plain numbers, and what follows from them."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import optax

from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.training.optimizers import make_optimizer, make_schedule

KEEPS = ("last", "best")


class Recipe(NamedTuple):
  """How something is trained; the defaults are the paper's."""

  epochs: int = 160
  batch_size: int = 128
  optimizer: str = "sgd"  # Or "adamw".
  learning_rate: float = 0.05
  final_rate: float = 1e-5
  schedule: str = "cosine"  # Or "linear", "constant".
  warmup_epochs: float = 0.0
  converter_rate: float = 0.2  # Factor of the converters' learning rate.
  momentum: float = 0.9
  weight_decay: float = 5e-4
  decay: str = "all"  # Or "kernels".
  clip_norm: float = 0.0  # 0 does not clip.
  accumulate: int = 1  # Batches whose gradients make one applied step.
  label_smoothing: float = 0.0
  ema_decay: float = 0.0  # Per batch; 0 keeps no average of the parameters.
  keep: str = "last"  # Or "best": the step with the best held-out accuracy.

  def check(self):
    """Raises where a number makes no sense; names are checked where used."""
    check_choice("keep", self.keep, KEEPS)
    for name, low in (
      ("epochs", 1),
      ("batch_size", 1),
      ("accumulate", 1),
      ("warmup_epochs", 0),
      ("converter_rate", 0),
      ("final_rate", 0),
      ("weight_decay", 0),
      ("clip_norm", 0),
    ):
      check_range(name, getattr(self, name), low)
    check_range("learning_rate", self.learning_rate, 1e-12)
    for name in ("momentum", "label_smoothing", "ema_decay"):
      check_range(name, getattr(self, name), 0, below=1)


def make_tx(
  recipe: Recipe,
  steps_per_epoch: int,
  *,
  trainable: Callable | None = None,
  keeps_zeros: Collection[str] = (),
) -> optax.GradientTransformation:
  """The optimiser of a recipe, whose schedule counts applied steps."""
  recipe.check()
  num_steps = recipe.epochs * steps_per_epoch
  if num_steps < recipe.accumulate:
    raise ValueError(
      f"accumulate is {recipe.accumulate}, more than the {num_steps} batches "
      "of the run; no step would ever be applied"
    )
  schedule = make_schedule(
    recipe.schedule,
    peak=recipe.learning_rate,
    final=recipe.final_rate,
    num_steps=num_steps // recipe.accumulate,
    warmup_steps=round(
      recipe.warmup_epochs * steps_per_epoch / recipe.accumulate
    ),
  )
  return make_optimizer(
    recipe.optimizer,
    schedule,
    momentum=recipe.momentum,
    weight_decay=recipe.weight_decay,
    decay=recipe.decay,
    clip_norm=recipe.clip_norm,
    accumulate=recipe.accumulate,
    converter_rate=recipe.converter_rate,
    trainable=trainable,
    keeps_zeros=keeps_zeros,
  )
