"""The first answer of a ViT-Small as users of transformers get it.

  python -m benchmarks.peers.first_answer DIR --make --image_size=224
  python -m benchmarks.peers.first_answer DIR

The first form writes random weights, the second loads them and answers once.
"""

import argparse

import torch
from transformers import ViTConfig, ViTForImageClassification


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("directory")
  parser.add_argument("--make", action="store_true")
  parser.add_argument("--image_size", type=int, default=224)
  given = parser.parse_args()
  if given.make:
    config = ViTConfig(
      hidden_size=384,
      num_hidden_layers=12,
      num_attention_heads=6,
      intermediate_size=1536,
      num_labels=1000,
      image_size=given.image_size,
    )
    ViTForImageClassification(config).save_pretrained(given.directory)
    return
  model = ViTForImageClassification.from_pretrained(given.directory).eval()
  size = model.config.image_size
  with torch.no_grad():
    model(torch.zeros(1, 3, size, size)).logits.numpy()


if __name__ == "__main__":
  main()
