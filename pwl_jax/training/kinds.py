"""The jobs of the pipeline: what each trains, and with which loss."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from pwl_jax.compress.fake import fake_quantised_network
from pwl_jax.interop import head_mask
from pwl_jax.method import composition, sampling
from pwl_jax.method.checks import check_choice
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.job import Job
from pwl_jax.training.losses import classification_loss, distillation_loss

CROSS = ("mixed", "all", "per_batch")
TRAINS = ("all", "head", "nothing")


def plain_job(
  name: str,
  network: Network,
  role: str,
  *,
  start: Any = None,
  trains: str = "all",
  keeps_zeros: bool = False,
) -> Job:
  """One of the two networks on its own, with the cross entropy.

  Args:
    name: of the job.
    network: that is trained.
    role: the key of its variables.
    start: its first variables; drawn if None.
    trains: "all" of it, or the "head" alone, where the rest runs as it was
      loaded, in evaluation mode.
    keeps_zeros: whether its kernels stay zero where they are at first.
  """
  check_choice("trains", trains, TRAINS)
  head_only = trains == "head"
  loss = classification_loss(network, role, train=not head_only)
  return Job(
    name=name,
    loss_at=lambda step: loss,
    init=lambda key, inputs, start: {role: start or network.init(key)},
    start=start,
    frozen={},
    logits=lambda variables, x: network.logits(variables[role], x),
    trainable=(lambda params: {role: head_mask(network)})
    if head_only
    else None,
    keeps_zeros=(role,) if keeps_zeros else (),
  )


def kd_job(name: str, swapnet: SwapNet, teacher: Any, **options) -> Job:
  """The student with the hard and the soft loss alone."""
  weights = ("feature_weight", "reconstruction_weight", "cross_weight")
  loss = distillation_loss(swapnet, **(options | dict.fromkeys(weights, 0)))
  student = swapnet.student
  return Job(
    name=name,
    loss_at=lambda step: loss,
    init=lambda key, inputs, start: {"student": student.init(key)},
    frozen={"teacher": teacher},
    logits=lambda variables, x: student.logits(variables["student"], x),
  )


def distill_job(
  name: str,
  swapnet: SwapNet,
  teacher: Any,
  *,
  student: Any = None,
  keeps_zeros: bool = False,
  cross: str = "mixed",
  fit_converters: bool = True,
  seed: int = 0,
  precisions: Sequence[str] = (),
  **options,
) -> Job:
  """Student and converters with the whole objective.

  Args:
    name: of the job.
    swapnet: whose student and converters are trained.
    teacher: its variables.
    student: its first variables; drawn if None.
    keeps_zeros: whether kernels of the student stay zero where they are then.
    cross: "mixed", every example its own composition; "all", every boundary
      in turn; "per_batch", one for the whole batch.
    fit_converters: in closed form, before the first step.
    seed: of the compositions of "per_batch".
    precisions: that the units of the student run in, one for each; what is
      trained stays float32, and so do they by default.
    **options: of the objective.
  """

  def as_run(student):
    """Its variables with the numbers that it answers with."""
    return (
      fake_quantised_network(student, precisions) if precisions else student
    )

  def init(key, inputs, start):
    variables = swapnet.init(key, **start)
    if fit_converters:
      running = variables | {"student": as_run(variables["student"])}
      variables["converters"] = swapnet.fit_converters(running, inputs)
    del variables["teacher"]
    return variables

  sampler = sampling.get_sampler(options.get("sampler", "paper"))
  draws = cross == "mixed" and swapnet.num_units > 1

  def check_rows(rows):
    if draws:
      sampler.teacher_counts(rows, swapnet.num_units)

  return Job(
    name=name,
    loss_at=_losses(
      swapnet, cross, seed, {**options, "precisions": precisions}
    ),
    init=init,
    start={"teacher": teacher, "student": student},
    frozen={"teacher": teacher},
    logits=lambda variables, x: swapnet.student.logits(
      as_run(variables["student"]), x
    ),
    pairs=draws and sampler.pairs,
    check_rows=check_rows,
    keeps_zeros=("student",) if keeps_zeros else (),
  )


def _losses(
  swapnet: SwapNet, cross: str, seed: int, options: dict[str, Any]
) -> Callable[[int], Callable]:
  """step -> its loss: always the same, but for one composition per batch."""
  check_choice("cross", cross, CROSS)
  if cross != "per_batch":
    mode = "random" if cross == "mixed" else "all"
    loss = distillation_loss(swapnet, cross_mode=mode, **options)
    return lambda step: loss
  sampler = sampling.get_sampler(options.get("sampler", "paper"))
  size = dict(batch=2 * swapnet.num_units, num_units=swapnet.num_units)
  draw = jax.jit(functools.partial(sampler.masks, **size))
  root = jax.random.key(seed + 1)

  @functools.cache
  def loss_of(word: str) -> Callable:
    return distillation_loss(swapnet, composition=word, **options)

  def loss_at(step: int) -> Callable:
    mask = jax.device_get(draw(jax.random.fold_in(root, step)))[0]
    return loss_of(composition.from_bits(mask))

  return loss_at
