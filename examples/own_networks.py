"""A teacher and a student of your own: trained, measured, stored, served.

  python -m examples.own_networks

Plain Flax modules, three units each, for the digits; two minutes on two cores.
"""

from flax import linen as nn

import pwl_jax
from pwl_jax import models, stages
from pwl_jax.config import default_config


class Unit(nn.Module):
  """Two convolutions at one width, the first strided; the last has the head."""

  width: int
  stride: int
  num_classes: int | None = None

  @nn.compact
  def __call__(self, x, *, train):
    for i, stride in enumerate((self.stride, 1)):
      x = nn.Conv(self.width, (3, 3), stride, name=f"conv{i}")(x)
      x = nn.relu(nn.LayerNorm(name=f"norm{i}")(x))
    if self.num_classes is None:
      return x
    return nn.Dense(self.num_classes, name="head")(x.mean(axis=(1, 2)))


def units(widths, *, num_classes=10, dtype=None):
  """Both differ in widths alone, so their units can take turns."""
  first, second, third = widths
  return Unit(first, 1), Unit(second, 2), Unit(third, 2, num_classes)


def main(workdir="runs/own_networks", epochs=15):
  models.PRESETS["own"] = models.Preset(
    build=units,
    teacher=models.Size(205_162, widths=(32, 64, 96)),
    student=models.Size(1_926, widths=(4, 6, 8)),
    input_shape=(8, 8, 1),
    num_classes=10,
  )
  config = default_config()
  config.model.preset = "own"
  config.stages = "teacher,distill,evaluate,export"
  config.augment.update(crop=1, flip=False, rotate=10.0)
  for stage, times in ((config.teacher, 1), (config.distill, 2)):
    stage.update(epochs=times * epochs, optimizer="adamw", learning_rate=4e-3)
  stages.run(config, workdir)
  with pwl_jax.open(f"{workdir}/bundle") as model:
    model.upgrade().wait()
    for event in model.events:
      print(f"{event.seconds:.3f} s  {event.text}")


if __name__ == "__main__":
  main()
