"""VGG and ResNet in PyTorch, as units; images are [b, c, h, w]."""

from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from benchmarks.peers.chain import chain


def conv_norm(width_in: int, width: int, kernel: int, stride: int = 1):
  conv = nn.Conv2d(
    width_in, width, kernel, stride, padding=kernel // 2, bias=False
  )
  return chain({"conv": conv, "norm": nn.BatchNorm2d(width)})


class VGGUnit(nn.Module):
  """[b, c, h, w] -> [b, width, h / 2, w / 2], or logits with a head."""

  def __init__(self, width_in, width, depth, num_classes=None):
    super().__init__()
    layers = {}
    for i in range(depth):
      previous = width if i else width_in
      layers[f"conv{i}"] = nn.Conv2d(previous, width, 3, padding=1)
      layers[f"norm{i}"] = nn.BatchNorm2d(width)
      layers[f"relu{i}"] = nn.ReLU(inplace=True)
    self.body = chain(layers)
    self.head = nn.Linear(width, num_classes) if num_classes else None

  def forward(self, x):
    x = F.max_pool2d(self.body(x), 2)
    return x if self.head is None else self.head(x.mean((2, 3)))


class Block(nn.Module):
  """A residual block, basic or bottleneck."""

  def __init__(self, width_in, width, stride, bottleneck):
    super().__init__()
    inner = width // 4 if bottleneck else width
    # (width, kernel, stride) of each convolution.
    plan = [(inner, 3, stride), (width, 3, 1)]
    if bottleneck:
      plan = [(inner, 1, 1), (inner, 3, stride), (width, 1, 1)]
    self.shortcut = None
    if stride != 1 or width_in != width:
      self.shortcut = conv_norm(width_in, width, 1, stride)
    layers = {}
    for i, (out, kernel, step) in enumerate(plan):
      if i:
        layers[f"relu{i}"] = nn.ReLU(inplace=True)
      layers[f"conv{i}"] = conv_norm(width_in, out, kernel, step)
      width_in = out
    self.body = chain(layers)

  def forward(self, x):
    shortcut = x if self.shortcut is None else self.shortcut(x)
    return F.relu(self.body(x) + shortcut)


class Stem(nn.Module):
  """From pixels to the first feature."""

  def __init__(self, channels, width, kind):
    super().__init__()
    self.pool = kind == "imagenet"
    kernel, stride = (7, 2) if self.pool else (3, 1)
    self.embed = conv_norm(channels, width, kernel, stride)

  def forward(self, x):
    x = F.relu(self.embed(x))
    return F.max_pool2d(x, 3, 2, padding=1) if self.pool else x


class ResNetUnit(nn.Module):
  """A stage of blocks; the first has the stem, the last the head."""

  def __init__(self, blocks: Sequence[Block], stem=None, head=None):
    super().__init__()
    self.stem, self.head = stem, head
    self.body = chain({f"block{i}": block for i, block in enumerate(blocks)})

  def forward(self, x):
    if self.stem is not None:
      x = self.stem(x)
    x = self.body(x)
    return x if self.head is None else self.head(x.mean((2, 3)))


def vgg(
  image,
  num_classes,
  *,
  widths=(64, 128, 256, 512, 512),
  depths=(2, 2, 3, 3, 3),
):
  into = (image[-1], *widths)
  classes = (None,) * (len(widths) - 1) + (num_classes,)
  return list(map(VGGUnit, into[:-1], widths, depths, classes))


def resnet(
  image, num_classes, *, widths, depths, block="basic", stem="cifar",
  stem_width=64,
):  # fmt: skip
  units, width_in, last = [], stem_width, len(widths) - 1
  for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
    blocks = [
      Block(
        width if j else width_in,
        width,
        stride=2 if i and not j else 1,
        bottleneck=block == "bottleneck",
      )
      for j in range(depth)
    ]
    first = Stem(image[-1], stem_width, stem) if i == 0 else None
    head = nn.Linear(width, num_classes) if i == last else None
    units.append(ResNetUnit(blocks, first, head))
    width_in = width
  return units
