"""The training steps in PyTorch, eager, as the authors take them.

  step = make_distill_step(net)
  losses = step(x, labels)

Five losses, and one random composition for the whole batch in each step. With
bfloat16 the forward passes are under autocast; losses are float32.
"""

import random
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.peers.swapnet import SwapNet, run

ALPHA, TEMPERATURE, CROSS_WEIGHT = 0.4, 2.0, 2.0
LEARNING_RATE, CONVERTER_RATE = 0.05, 0.2
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


def draw(num_units: int, rng: random.Random) -> str:
  """One switch or independent coins, each with probability 1/2."""
  if rng.random() < 0.5:
    first, second = rng.choice([("T", "S"), ("S", "T")])
    pivot = rng.randint(1, num_units - 1)
    return first * pivot + second * (num_units - pivot)
  word = [rng.choice("TS") for _ in range(num_units)]
  if len(set(word)) == 1:
    word[rng.randrange(num_units)] = "S" if word[0] == "T" else "T"
  return "".join(word)


def distance(a: Tensor, b: Tensor) -> Tensor:
  a, b = a.float().flatten(1), b.float().flatten(1)
  return F.mse_loss(a, b) + (1 - F.cosine_similarity(a, b)).mean()


def divergence(logits: Tensor, teacher_logits: Tensor) -> Tensor:
  """tau^2 KL(teacher || logits)."""
  log_q, log_p = (
    F.log_softmax(x.float() / TEMPERATURE, -1) for x in (logits, teacher_logits)
  )
  kl = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
  return TEMPERATURE**2 * kl


def distill_losses(
  net: SwapNet, x: Tensor, labels: Tensor, word: str
) -> dict[str, Tensor]:
  """The weighted terms, by the names that `pwl_jax` gives them."""
  with torch.no_grad():
    teacher_logits, teacher = run(net.teacher, x)
  logits, student = run(net.student, x)
  feature, reconstruction = [], []
  for i, (t, s) in enumerate(zip(teacher, student, strict=True)):
    encode, decode = net.encoders[i], net.decoders[i]
    encoded, decoded = encode(t), decode(s)
    feature.append(distance(s, encoded) + distance(t, decoded))
    if net.has_converter(i):
      reconstruction.append(
        distance(t, decode(encoded)) + distance(s, encode(decoded))
      )
  boundaries = len(feature)
  cross = divergence(net.compose(x, word), teacher_logits)
  return {
    "hard": ALPHA * F.cross_entropy(logits.float(), labels),
    "soft": (1 - ALPHA) * divergence(logits, teacher_logits),
    "feature": sum(feature) / boundaries,
    "reconstruction": sum(reconstruction, torch.zeros_like(cross)) / boundaries,
    "cross": CROSS_WEIGHT * cross,
  }


def make_distill_step(
  net: SwapNet, *, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Callable[..., dict[str, Tensor]]:
  """Returns step(x, labels, word=None); a word is drawn if none is given."""
  rng = random.Random(seed)
  converters = [*net.encoders.parameters(), *net.decoders.parameters()]
  optimizer = _sgd(
    {"params": net.student.parameters()},
    {"params": converters, "lr": CONVERTER_RATE * LEARNING_RATE},
  )

  def step(x, labels, word=None):
    word = word or draw(len(net.teacher), rng)
    with _autocast(x, dtype):
      found = distill_losses(net, x, labels, word)
    _descend(optimizer, sum(found.values()))
    return found

  return step


def make_teacher_step(
  units: nn.ModuleList, *, dtype: torch.dtype = torch.float32
) -> Callable[..., Tensor]:
  """Returns step(x, labels): the cross entropy of one network alone."""
  units.requires_grad_(True).train()
  optimizer = _sgd({"params": units.parameters()})

  def step(x, labels):
    with _autocast(x, dtype):
      logits, _ = run(units, x)
    loss = F.cross_entropy(_wide(logits), labels)
    _descend(optimizer, loss)
    return loss.detach()

  return step


def _wide(x: Tensor) -> Tensor:
  """In float32 at least."""
  return x.to(torch.promote_types(x.dtype, torch.float32))


def _autocast(x: Tensor, dtype: torch.dtype) -> torch.autocast:
  enabled = dtype != torch.float32
  return torch.autocast(x.device.type, torch.bfloat16, enabled=enabled)


def _sgd(*groups: dict[str, Iterable]) -> torch.optim.SGD:
  groups = [{**g, "params": list(g["params"])} for g in groups]
  return torch.optim.SGD(
    [group for group in groups if group["params"]],
    lr=LEARNING_RATE,
    momentum=MOMENTUM,
    weight_decay=WEIGHT_DECAY,
  )


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor):
  optimizer.zero_grad(set_to_none=True)
  loss.backward()
  optimizer.step()
