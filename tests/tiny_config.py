"""A pipeline of seconds, for tests that run the real command too."""

from pwl_jax.config import default_config


def get_config():
  config = default_config()
  config.data.name = "synthetic:60x8x8x1/10"
  config.model.preset = "tiny_vgg"
  config.augment.update(crop=1, rotate=5.0)
  config.log_every = 1
  for name in ("teacher", "student", "distill"):
    config[name].update(epochs=1, batch_size=16)
  return config
