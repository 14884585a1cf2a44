"""The peer's training steps as cases of a benchmark.

Its batch lies on the device, normalised and in float32, and is the same in each
step: what loads and changes images is left out.
"""

from collections.abc import Callable

import jax
import torch

from benchmarks.peers import step as steps
from benchmarks.peers import swapnet
from pwl_jax import models

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_cases(
  preset: str, *, batch_size: int, dtype: str, times: int
) -> dict[str, Callable[[], None]]:
  """By the stage, a function that makes so many steps and waits for them."""
  device = device_of_jax()
  # As XLA does on a GPU: float32 is multiplied in TF32, and the fastest
  # convolution is looked for.
  torch.set_float32_matmul_precision("high")
  torch.backends.cudnn.benchmark = True
  options = dict(dtype=DTYPES[dtype])
  teacher = swapnet.of_preset(preset).teacher.to(device)
  net = swapnet.of_preset(preset).to(device)
  height, width, channels = models.get_preset(preset).input_shape
  x = torch.randn(batch_size, channels, height, width, device=device)
  labels = torch.randint(
    models.get_preset(preset).num_classes, (batch_size,), device=device
  )

  def repeated(step):
    def run():
      for _ in range(times):
        step(x, labels)
      if device != "cpu":
        torch.cuda.synchronize()

    return run

  return {
    "teacher": repeated(steps.make_teacher_step(teacher, **options)),
    "distill": repeated(steps.make_distill_step(net, **options)),
  }


def device_of_jax() -> str:
  """The kind of device that both are measured on."""
  platform = jax.default_backend()
  if platform == "cpu":
    return "cpu"
  if platform == "gpu" and torch.cuda.is_available():
    return "cuda"
  raise ValueError(
    f"jax runs on {platform} and this PyTorch cannot; install one that does, "
    "or leave --torch out"
  )
