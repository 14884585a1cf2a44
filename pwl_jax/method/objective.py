"""The objective: five weighted terms over one batch, by name.

  hard            the student answers as labelled
  soft            the student answers as the teacher does
  feature         the converters take each network's features to the other's
  reconstruction  there and back again is the feature itself
  cross           half-replaced networks answer as the teacher does

The teacher is constant: no gradient reaches its variables, and it always runs
in evaluation mode. Forward passes of one batch: teacher, student, and those
of the cross term. A train step differentiates the first argument of

  objective = make_objective(swapnet, temperature=2.0)
  total, losses = objective(params, batch_stats, teacher, x, labels, key)
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import losses
from pwl_jax.method.checks import check_choice
from pwl_jax.method.cross import random_pass, student_tails
from pwl_jax.method.network import Variables
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import average_stats, merge

PARTS = ("hard", "soft", "feature", "reconstruction", "cross")
CROSS_MODES = ("random", "all")
STATS_RULES = ("both", "student")


class Losses(NamedTuple):
  """What the objective found on one batch."""

  parts: dict[str, jax.Array]  # a weighted scalar per name in PARTS
  student_logits: jax.Array  # [b, k]
  teacher_logits: jax.Array  # [b, k]
  batch_stats: dict[str, Any]  # the student's running averages after it

  @property
  def total(self) -> jax.Array:
    return sum(self.parts.values())


def make_objective(swapnet: SwapNet, **options) -> Callable:
  """Returns objective(params, batch_stats, teacher, x, labels, key).

  `params` and `batch_stats` are keyed network -> unit for `student` and
  `converters`, as `variables.split` gives them. The result is the total and
  the `Losses`, whose `batch_stats` have the structure of the argument, so
  they are the next step's. `options` are the keywords of `loss_parts`.
  """

  def objective(params, batch_stats, teacher, x, labels, key):
    variables = merge(params, batch_stats) | {"teacher": teacher}
    found = loss_parts(swapnet, variables, x, labels, key=key, **options)
    stats = {**batch_stats, "student": found.batch_stats}
    return found.total, found._replace(batch_stats=stats)

  return objective


def loss_parts(
  swapnet: SwapNet,
  variables: Variables,
  x: jax.Array,
  labels: jax.Array,
  *,
  key: jax.Array | None = None,
  train: bool = True,
  alpha: float = 0.4,
  temperature: float = 2.0,
  feature_weight: float = 1.0,
  reconstruction_weight: float = 1.0,
  cross_weight: float = 2.0,
  cross_mode: str = "random",
  sampler: str = "paper",
  composition: str | None = None,
  stats_rule: str = "both",
) -> Losses:
  """All terms on one batch; the defaults are the paper's.

  Args:
    swapnet: the two networks and their converters.
    variables: theirs, keyed network -> unit -> collection.
    x: inputs, [b, *input_shape].
    labels: classes, int[b].
    key: for the random compositions, and for units that draw in training.
    train: student units use the statistics of the batch.
    alpha: share of the hard loss; the soft loss has the rest.
    temperature: tau of every KL term.
    feature_weight: of the feature loss.
    reconstruction_weight: of the reconstruction loss.
    cross_weight: of the cross loss; at a plain 0 its passes are not run.
    cross_mode: "random", every example its own composition; or "all", the
      teacher up to each boundary in turn and the student behind it.
    sampler: of the random compositions, a name in `sampling.SAMPLERS`.
    composition: this one for the whole batch instead of random ones.
    stats_rule: the student's new running averages are those of its own pass
      ("student"), or per unit the mean over all passes it ran in ("both").
  """
  _check_options(alpha, cross_mode, composition, stats_rule)
  student_key, cross_key = (
    (None, None) if key is None else jax.random.split(key)
  )
  teacher_variables = jax.lax.stop_gradient(variables["teacher"])
  variables = {**variables, "teacher": teacher_variables}
  teacher = swapnet.teacher.apply(teacher_variables, x)
  student = swapnet.student.apply(
    variables["student"], x, train=train, key=student_key
  )

  def hard(logits):
    return alpha * jnp.mean(losses.hard_loss(logits, labels))

  def kl(logits):
    return jnp.mean(
      losses.soft_loss(logits, teacher.logits, temperature=temperature)
    )

  if swapnet.num_units == 1 or _is_zero(cross_weight):
    passes, cross = [], 0.0
  elif cross_mode == "all":
    passes = student_tails(
      swapnet, variables, teacher, key=cross_key, train=train
    )
    cross = _mean([hard(p.logits) + (1 - alpha) * kl(p.logits) for p in passes])
  else:
    mixed = random_pass(
      swapnet,
      variables,
      x,
      key=cross_key,
      train=train,
      sampler=sampler,
      composition=composition,
    )
    passes, cross = [mixed], kl(mixed.logits)
  feature, reconstruction = boundary_terms(
    swapnet, variables, student.features, teacher.features
  )
  parts = {
    "hard": hard(student.logits),
    "soft": (1 - alpha) * kl(student.logits),
    "feature": feature_weight * feature,
    "reconstruction": reconstruction_weight * reconstruction,
    "cross": cross_weight * cross,
  }
  return Losses(
    {name: jnp.asarray(part, jnp.float32) for name, part in parts.items()},
    student.logits,
    teacher.logits,
    _new_stats(variables["student"], student, passes, stats_rule),
  )


def boundary_terms(
  swapnet: SwapNet,
  variables: Variables,
  student_features: Sequence[jax.Array],
  teacher_features: Sequence[jax.Array],
) -> tuple[jax.Array, jax.Array]:
  """The feature and the reconstruction loss, means over boundaries and batch.

  A boundary without a converter reconstructs exactly: it counts, with zero.
  """
  feature, reconstruction = [], []
  pairs = zip(student_features, teacher_features, strict=True)
  for i, (student, teacher) in enumerate(pairs):
    encoded = swapnet.encode(variables, i, teacher)
    decoded = swapnet.decode(variables, i, student)
    feature.append(
      losses.feature_loss(student, teacher, encoded=encoded, decoded=decoded)
    )
    if swapnet.has_converter(i):
      trips = losses.reconstruction_loss(
        student,
        teacher,
        student_trip=swapnet.encode(variables, i, decoded),
        teacher_trip=swapnet.decode(variables, i, encoded),
      )
    else:
      trips = jnp.zeros(len(student))
    reconstruction.append(trips)
  return _mean(feature), _mean(reconstruction)


def _new_stats(student_variables, student, passes, stats_rule):
  """The student's running averages after this batch, for every unit."""
  old = {n: u.get("batch_stats", {}) for n, u in student_variables.items()}
  ran = [student, *passes] if stats_rule == "both" else [student]
  return old | average_stats([p.batch_stats for p in ran])


def _mean(terms: Sequence[jax.Array]) -> jax.Array:
  """Mean over terms and examples; zero where there are no terms."""
  return jnp.mean(jnp.stack(terms)) if terms else jnp.zeros(())


def _is_zero(weight) -> bool:
  return isinstance(weight, (int, float)) and weight == 0


def _check_options(alpha, cross_mode, composition, stats_rule):
  if isinstance(alpha, (int, float)) and not 0 <= alpha <= 1:
    raise ValueError(
      f"alpha shares out hard and soft loss, so it lies in [0, 1]; got {alpha}"
    )
  check_choice("cross_mode", cross_mode, CROSS_MODES)
  check_choice("stats_rule", stats_rule, STATS_RULES)
  if composition is not None and cross_mode != "random":
    raise ValueError(
      f"composition {composition!r} takes the place of random ones; with "
      f"cross_mode {cross_mode!r} leave it out"
    )
