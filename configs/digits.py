"""Handwritten digits, the whole pipeline, for a CPU.

  python -m pwl_jax.main --config=configs/digits.py --workdir=runs/digits
  python -m pwl_jax.main --config=configs/digits.py:vit --workdir=runs/vit

A ResNet of 174,970 parameters teaches one of 2,142. Reached on two CPU cores,
in 80 seconds, on the 359 test images: teacher 99.2 %, student plain 95.0 %,
student with plain distillation 94.4 %, swap network 96.1 % (SSS), and
with the first unit of the teacher 98.3 % already (TSS).
"""

from pwl_jax.config import default_config

PRESETS = {"resnet": "digits_resnet", "vit": "small_vit"}


def get_config(family="resnet"):
  if family not in PRESETS:
    raise ValueError(
      f"configs/digits.py:{family}: no family {family!r}; it is one of "
      f"{', '.join(PRESETS)}"
    )
  config = default_config()
  config.data.name = "digits"
  config.augment.update(crop=1, flip=False, rotate=10.0)
  config.model.preset = PRESETS[family]
  config.log_every = 100
  for name, epochs in (("teacher", 30), ("student", 30), ("distill", 60)):
    config[name].update(epochs=epochs, batch_size=64)
    if family == "vit":
      config[name].update(
        optimizer="adamw",
        learning_rate=1e-3,
        warmup_epochs=3.0,
        weight_decay=0.05,
        decay="kernels",
        clip_norm=1.0,
      )
  return config
