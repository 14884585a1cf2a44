"""Writes small models with others' names into tests/fixtures.

  pip install torch torchvision timm transformers safetensors numpy
  python benchmarks/peers/make_fixtures.py torchvision
  python benchmarks/peers/make_fixtures.py huggingface  # BERT and DistilBERT

Each case is a directory with `model.safetensors` and `golden.npz`: `x`, images
as NCHW or token ids with their `attention_mask`, and the `logits` that the
PyTorch model gives for them. All weights are random, batch statistics and
heads too, so that a mistake in any of them shows.
"""

import argparse
import pathlib

import numpy as np
import timm
import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from torchvision.models import vgg, vision_transformer

FIXTURES = pathlib.Path(__file__).parents[2] / "tests/fixtures"
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


def randomise(model: nn.Module, deviation: float = 0.1) -> nn.Module:
  for name, buffer in model.named_buffers():
    if name.endswith("running_mean"):
      buffer.normal_(0, 0.3)
    if name.endswith("running_var"):
      buffer.uniform_(0.5, 2)
  for parameter in model.parameters():
    parameter.data.add_(deviation * torch.randn_like(parameter))
  return model.eval()


def text_models() -> dict[str, nn.Module]:
  """Name -> a classifier of texts, of 4 or 2 layers."""
  common = dict(
    vocab_size=100, max_position_embeddings=24, num_labels=NUM_CLASSES
  )
  bert = transformers.BertConfig(
    hidden_size=32,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=48,
    **common,
  )
  distilbert = transformers.DistilBertConfig(
    dim=16, n_layers=2, n_heads=2, hidden_dim=40, **common
  )
  return {
    "bert": transformers.BertForSequenceClassification(bert),
    "distilbert": transformers.DistilBertForSequenceClassification(distilbert),
  }


def write_huggingface():
  for name, model in text_models().items():
    model = randomise(model, 0.3)  # Attention looks at something.
    lengths = torch.tensor([12, 7, 1, 10])
    mask = torch.arange(12) < lengths[:, None]
    x = torch.randint(1, 100, mask.shape) * mask  # 0 is padding.
    logits = model(input_ids=x, attention_mask=mask.long()).logits
    directory = FIXTURES / "huggingface" / name
    model.save_pretrained(directory)
    np.savez_compressed(
      directory / "golden.npz",
      x=x.int().numpy(),
      attention_mask=mask.int().numpy(),
      logits=logits.numpy(),
    )


def write_torchvision():
  for name, (model, side) in cases().items():
    model = randomise(model)
    x = torch.randn(2, 3, side, side)
    directory = FIXTURES / "torchvision" / name
    directory.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), directory / "model.safetensors")
    np.savez_compressed(
      directory / "golden.npz", x=x.numpy(), logits=model(x).numpy()
    )


@torch.no_grad()
def main():
  writers = {"torchvision": write_torchvision, "huggingface": write_huggingface}
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("folder", choices=writers)
  torch.manual_seed(0)
  writers[parser.parse_args().folder]()


if __name__ == "__main__":
  main()
