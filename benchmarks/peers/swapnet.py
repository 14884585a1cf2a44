"""Teacher, student and converters in PyTorch; any one composition of them."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.peers import networks
from pwl_jax import models


def run(units: Iterable[nn.Module], x: Tensor) -> tuple[Tensor, list[Tensor]]:
  """Logits, and the features at the boundaries."""
  features = []
  for unit in units:
    x = unit(x)
    features.append(x)
  return features.pop(), features


class Linear(nn.Linear):
  """A linear map of the channels of [b, c, h, w] or [b, tokens, c]."""

  def forward(self, x):
    if x.ndim == 4:
      return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return super().forward(x)


class SwapNet(nn.Module):
  """The teacher is constant, and always in evaluation mode."""

  def __init__(
    self,
    teacher: nn.ModuleList,
    student: nn.ModuleList,
    widths: Sequence[tuple[int, int]],
  ):
    """`widths` are the teacher's and the student's at every boundary."""
    super().__init__()
    self.teacher = teacher.requires_grad_(False)
    self.student = student
    self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
    for t, s in widths:
      equal = t == s
      self.encoders.append(nn.Identity() if equal else Linear(t, s))
      self.decoders.append(nn.Identity() if equal else Linear(s, t))
    self.train()

  def train(self, mode: bool = True):
    super().train(mode)
    self.teacher.eval()
    return self

  def has_converter(self, i: int) -> bool:
    return not isinstance(self.encoders[i], nn.Identity)

  def compose(self, x: Tensor, word: str) -> Tensor:
    """Logits of a composition such as "TTSS"."""
    for i, letter in enumerate(word):
      if i and letter != word[i - 1]:
        x = (self.encoders if letter == "S" else self.decoders)[i - 1](x)
      x = (self.teacher if letter == "T" else self.student)[i](x)
    return x


def of_preset(name: str) -> SwapNet:
  """The pair of a preset of `pwl_jax`, with PyTorch's own random weights."""
  preset = models.get_preset(name)
  image = preset.input_shape
  teacher, student = (
    networks.build(
      preset.build.__name__,
      image,
      preset.num_classes,
      {**preset.common, **size.options},
    )
    for size in (preset.teacher, preset.student)
  )
  return SwapNet(teacher, student, _widths(image, teacher, student))


@torch.no_grad()
def _widths(image, teacher, student) -> list[tuple[int, int]]:
  height, width, channels = image
  x = torch.zeros(2, channels, height, width)
  pairs = zip(run(teacher, x)[1], run(student, x)[1], strict=True)
  # Channels are the second axis of images and the last of tokens.
  return [
    tuple(f.shape[1 if f.ndim == 4 else -1] for f in pair) for pair in pairs
  ]
