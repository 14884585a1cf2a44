"""ImageNet for a TPU pod or several GPUs, streamed from TFDS's records.

  python -m pwl_jax.main --config=configs/imagenet.py:resnet \
    --config.data.data_dir=DIR --workdir=runs/imagenet

The argument is `resnet` (50 layers teach 18) or `vit` (small teaches tiny).
The set has to be prepared in DIR, once, from the archives of image-net.org:

  python -m pwl_jax.data.prepare imagenet2012 --data_dir=DIR

A pretrained teacher in torchvision's or timm's format is taken as it is with

  --config.imported.path=resnet50.safetensors --config.imported.trains=nothing

Not run to its end by us: the recipes are the usual ones of these networks.
"""

from pwl_jax.config import default_config

RESNET = dict(
  epochs=90,
  batch_size=1024,
  learning_rate=0.4,
  final_rate=0.0,
  warmup_epochs=5.0,
  weight_decay=1e-4,
  decay="kernels",
  label_smoothing=0.1,
)
VIT = dict(
  epochs=300,
  batch_size=1024,
  optimizer="adamw",
  learning_rate=1e-3,
  final_rate=1e-5,
  warmup_epochs=10.0,
  weight_decay=0.1,
  decay="kernels",
  clip_norm=1.0,
  label_smoothing=0.1,
)
FAMILIES = {
  "resnet": ("resnet50_resnet18", RESNET),
  "vit": ("vit_small_tiny", VIT),
}


def get_config(argument="resnet"):
  if argument not in FAMILIES:
    raise ValueError(
      f"configs/imagenet.py:{argument}: write one of {', '.join(FAMILIES)} "
      "behind the colon"
    )
  preset, recipe = FAMILIES[argument]
  config = default_config()
  config.data.name = "tfds:imagenet2012"
  config.data.image_size = 224
  config.data.valid_share = 0.01
  # Of all photographs in the set; pretrained teachers expect the same.
  config.data.mean = (0.485, 0.456, 0.406)
  config.data.deviation = (0.229, 0.224, 0.225)
  # The stream crops and flips while it decodes.
  config.augment.update(crop=0, flip=False, rotate=0.0)
  config.model.preset = preset
  config.model.dtype = "bfloat16"
  config.evaluate_every = 1
  for name in ("teacher", "student", "distill"):
    config[name].update(recipe)
  if argument == "vit":
    config.augment.mixup_alpha = 0.2
  return config
