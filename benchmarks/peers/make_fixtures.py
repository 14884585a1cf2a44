"""Writes tests/fixtures/torchvision: small models with others' names.

  pip install torch torchvision timm safetensors numpy
  python benchmarks/peers/make_fixtures.py

Each case is a directory with `model.safetensors` and `golden.npz` (`x`, NCHW,
and the `logits` that the PyTorch model gives for it). All weights are random,
batch statistics and heads too, so that a mistake in any of them shows.
"""

import pathlib

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import vgg, vision_transformer

OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/torchvision"
NUM_CLASSES = 7


def small_vgg() -> nn.Module:
  """VGG16-BN's layout with narrow layers."""
  plan = [4, 4, "M", 8, 8, "M", 8, 8, 8, "M", 8, 8, 8, "M", 8, 8, 8, "M"]
  features = vgg.make_layers(plan, batch_norm=True)
  model = vgg.VGG(features, num_classes=NUM_CLASSES, init_weights=False)
  dense = (nn.Linear(8 * 49, 20), nn.Linear(20, 24), nn.Linear(24, NUM_CLASSES))
  model.classifier = nn.Sequential(
    dense[0], nn.ReLU(), nn.Dropout(), dense[1], nn.ReLU(), nn.Dropout(),
    dense[2],
  )  # fmt: skip
  return model


def timm_resnet(block, depths, channels) -> nn.Module:
  return timm.models.resnet.ResNet(
    block, depths, channels=channels, num_classes=NUM_CLASSES
  )


def cases() -> dict[str, tuple[nn.Module, int]]:
  """Name -> the model and the side of its images."""
  blocks = timm.models.resnet
  return {
    "torchvision_vgg": (small_vgg(), 64),
    "torchvision_vit": (
      vision_transformer.VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=4,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=24,
        num_classes=NUM_CLASSES,
      ),
      32,
    ),
    "timm_vit": (
      timm.models.vision_transformer.VisionTransformer(
        img_size=32,
        patch_size=8,
        depth=4,
        num_heads=2,
        embed_dim=16,
        mlp_ratio=1.5,
        num_classes=NUM_CLASSES,
      ),
      32,
    ),
    "timm_resnet_basic": (
      timm_resnet(blocks.BasicBlock, [2, 1, 1, 1], (8, 12, 16, 20)),
      64,
    ),
    "timm_resnet_bottleneck": (
      timm_resnet(blocks.Bottleneck, [1, 2, 1, 1], (4, 6, 8, 10)),
      64,
    ),
  }


def randomise(model: nn.Module) -> nn.Module:
  for name, buffer in model.named_buffers():
    if name.endswith("running_mean"):
      buffer.normal_(0, 0.3)
    if name.endswith("running_var"):
      buffer.uniform_(0.5, 2)
  for parameter in model.parameters():
    parameter.data.add_(0.1 * torch.randn_like(parameter))
  return model.eval()


@torch.no_grad()
def main():
  torch.manual_seed(0)
  built = cases()
  for name, (model, side) in built.items():
    model = randomise(model)
    x = torch.randn(2, 3, side, side)
    directory = OUT / name
    directory.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), directory / "model.safetensors")
    np.savez_compressed(
      directory / "golden.npz", x=x.numpy(), logits=model(x).numpy()
    )


if __name__ == "__main__":
  main()
