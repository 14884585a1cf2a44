"""CIFAR-10 and CIFAR-100 with the authors' networks and hyper-parameters.

  python -m pwl_jax.main --config=configs/cifar.py:resnet,cifar10 \
    --config.data.data_dir=DIR --workdir=runs/cifar

The argument is FAMILY,DATA[,small]: vgg, resnet, vit or lenet5; cifar10 or
cifar100; and `small` for a version that a CPU can train, with narrow networks
and few epochs. The data set has to be prepared in DIR, once:

  python -m pwl_jax.data.prepare cifar10 --data_dir=DIR

Reached by resnet,cifar10,small (701,466 parameters teach 78,954) on the 10,000
test images, means of seeds 0 and 1 (python -m benchmarks.quality): teacher
79.4 %, student plain 69.7 %, student with plain distillation 73.5 %, swap
network SSSS 75.4, TSSS 77.4, TTSS 77.9, TTTS 79.0, TTTT 79.4 %. The images were
JPEGs made from the originals, 38.6 dB from them on average.
"""

from pwl_jax.config import default_config

# The authors' ViT sees images of 224 pixels; at 32 its patches are of 4.
PRESETS = {
  "vgg": "vgg",
  "resnet": "resnet",
  "vit": "vit_cifar",
  "lenet5": "lenet5",
}
SMALL = {
  "vgg": "small_vgg",
  "resnet": "small_resnet",
  "vit": "small_vit",
  "lenet5": "lenet5",
}


def get_config(argument="resnet,cifar10"):
  family, *data = argument.split(",")
  small = data[1:] == ["small"]
  if data[:1] not in (["cifar10"], ["cifar100"]) or not (
    small or data[1:] == []
  ):
    raise ValueError(
      f"configs/cifar.py:{argument}: write FAMILY,DATA[,small], such as "
      "resnet,cifar10 or vgg,cifar100,small"
    )
  if family not in PRESETS:
    raise ValueError(
      f"configs/cifar.py:{argument}: no family {family!r}; it is one of "
      f"{', '.join(PRESETS)}"
    )
  config = default_config()
  config.data.name = f"tfds:{data[0]}"
  config.model.preset = (SMALL if small else PRESETS)[family]
  if family == "vit":
    for name in ("teacher", "student", "distill"):
      config[name].update(
        optimizer="adamw",
        learning_rate=5e-4,
        warmup_epochs=10.0,
        weight_decay=0.05,
        decay="kernels",
        clip_norm=1.0,
        label_smoothing=0.1,
      )
  if small:
    config.evaluate_every = 1
    for name in ("teacher", "student", "distill"):
      config[name].update(epochs=8, warmup_epochs=0.5)
  return config
