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

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pwl_jax.method import losses
from pwl_jax.method.composition import STUDENT, TEACHER
from pwl_jax.method.cross import random_pass, student_tails
from pwl_jax.method.feature import Feature, values_of
from pwl_jax.method.network import Pass, Variables
from pwl_jax.method.options import Options
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import average_stats, merge, with_stats

PARTS = ("hard", "soft", "feature", "reconstruction", "cross")


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
  they are the next step's. `options` are the fields of `Options`.
  """
  Options(**options)  # Mistakes show here, not in the first step.

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
  **options,
) -> Losses:
  """All terms on one batch.

  Args:
    swapnet: the two networks and their converters.
    variables: theirs, keyed network -> unit -> collection.
    x: inputs, [b, *input_shape].
    labels: classes, int[b], or distributions over them, [b, k].
    key: for the random compositions, and for units that draw in training.
    train: student units use the statistics of the batch.
    **options: the fields of `Options`.
  """
  options = Options(**options)
  labels = _checked_labels(labels, len(x))
  student_key, cross_key = (
    (None, None) if key is None else jax.random.split(key)
  )
  constant = jax.lax.stop_gradient(variables["teacher"])
  variables = {**variables, "teacher": constant}
  teacher = swapnet.teacher.apply(constant, x)
  student = swapnet.student.apply(
    variables["student"], x, train=train, key=student_key
  )
  running = variables["student"]
  if options.stats_rule == "sequence":
    running = with_stats(running, student.batch_stats)
  passes = _cross_passes(
    swapnet,
    {**variables, "student": running},
    x,
    teacher,
    student,
    key=cross_key,
    train=train,
    options=options,
  )

  def answer_terms(logits, alpha):
    """The weighted hard and soft loss of any network's answers."""
    hard = soft = 0.0
    if not _is_zero(alpha):
      hard = jnp.mean(losses.hard_loss(logits, labels))
    if not _is_zero(1 - alpha):
      soft = jnp.mean(_soft_loss(logits, teacher.logits, labels, options))
    return alpha * hard, (1 - alpha) * soft

  is_random = options.cross_mode == "random"
  alpha = options.cross_alpha if is_random else options.alpha
  cross = _mean([sum(answer_terms(p.logits, alpha)) for p in passes])
  hard, soft = answer_terms(student.logits, options.alpha)
  feature = reconstruction = 0.0
  weights = options.feature_weight, options.reconstruction_weight
  if not all(map(_is_zero, weights)):
    feature, reconstruction = boundary_terms(
      swapnet, variables, student.features, teacher.features
    )
  parts = {
    "hard": hard,
    "soft": soft,
    "feature": options.feature_weight * feature,
    "reconstruction": options.reconstruction_weight * reconstruction,
    "cross": options.cross_weight * cross,
  }
  return Losses(
    {name: jnp.asarray(part, jnp.float32) for name, part in parts.items()},
    student.logits,
    teacher.logits,
    _new_stats(variables["student"], student, passes, options.stats_rule),
  )


def _soft_loss(logits, teacher_logits, labels, options: Options) -> jax.Array:
  answers = logits, teacher_logits
  temperature, weight = options.temperature, options.others_weight
  if _is_zero(weight):
    return losses.soft_loss(*answers, temperature=temperature)
  return losses.decoupled_loss(
    *answers, labels, temperature=temperature, others_weight=weight
  )


def _cross_passes(
  swapnet, variables, x, teacher, student, *, key, train, options: Options
) -> list[Pass]:
  """The passes of half-replaced networks; none where there is nothing half."""
  if swapnet.num_units == 1 or _is_zero(options.cross_weight):
    return []
  if options.cross_mode == "all":
    return student_tails(swapnet, variables, teacher, key=key, train=train)
  passes = {TEACHER: teacher}
  if not train or swapnet.student.repeatable:
    passes[STUDENT] = student
  return [
    random_pass(
      swapnet,
      variables,
      x,
      key=key,
      train=train,
      passes=passes,
      sampler=options.sampler,
      composition=options.composition,
    )
  ]


def boundary_terms(
  swapnet: SwapNet,
  variables: Variables,
  student_features: Sequence[Feature],
  teacher_features: Sequence[Feature],
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
      trips = jnp.zeros(len(values_of(student)))
    reconstruction.append(trips)
  return _mean(feature), _mean(reconstruction)


def _new_stats(student_variables, student, passes, stats_rule):
  """The student's running averages after this batch, for every unit."""
  old = {n: u.get("batch_stats", {}) for n, u in student_variables.items()}
  ran = [p.batch_stats for p in (student, *passes)]
  if stats_rule == "sequence":  # The last pass went on from its own.
    return functools.reduce(operator.or_, ran, old)
  return old | average_stats(ran if stats_rule == "both" else ran[:1])


def _mean(terms: Sequence[jax.Array]) -> jax.Array:
  """Mean over terms and examples; zero where there are no terms."""
  return jnp.mean(jnp.stack(terms)) if terms else jnp.zeros(())


def _is_zero(weight) -> bool:
  return isinstance(weight, int | float) and weight == 0


def _checked_labels(labels, batch: int) -> jax.Array:
  labels = jnp.asarray(labels)
  classes = labels.shape == (batch,) and jnp.issubdtype(
    labels.dtype, jnp.integer
  )
  shares = labels.ndim == 2 and jnp.issubdtype(labels.dtype, jnp.floating)
  if not (classes or (shares and len(labels) == batch)):
    raise ValueError(
      f"labels of {labels.dtype} {list(labels.shape)} do not fit a batch of "
      f"{batch}; give integer classes, [{batch}], or a distribution over the "
      f"classes for each example, [{batch}, k]"
    )
  return labels
