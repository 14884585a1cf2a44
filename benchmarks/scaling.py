"""What a step of distillation costs as units, batch and devices grow.

python -m benchmarks.scaling [--quick]

units    one network of 12 layers, cut into 2 to 12 units
batch    one network, with more and more examples
devices  one batch, over virtual devices of this CPU: what dividing it costs or
         gains where all share the cores, and not the speed of real ones
bytes    what the devices tell each other in a step, read from the program
"""

import contextlib
import functools
import subprocess

from benchmarks import machine, virtual
from benchmarks.processes import measured
from benchmarks.records import Record, parser_of, tell
from benchmarks.timing import explained, in_turns, summaries
from benchmarks.train_step import make_jobs, repeated, session_of
from pwl_jax import models
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.vit import vit
from pwl_jax.training.large_pages import restart_with_large_pages

LAYERS = 12
CUTS = (2, 3, 4, 6, 12)
BATCHES = (32, 64, 128, 256)
DEVICES = (1, 2, 4, 8)
STAGE = "distill_mixed"


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.scaling", __doc__)
  parser.add_argument("--preset", default="resnet", choices=models.PRESETS)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--quick", action="store_true", help="tiny sizes")
  given = parser.parse_args(argv)
  preset, rounds = given.preset, given.rounds
  cuts, batches, devices, width, rows = CUTS, BATCHES, DEVICES, 96, 64
  if given.quick:
    preset, rounds, width, rows = "tiny_vgg", 1, 8, 8
    cuts, batches, devices = (2, 3), (8, 16), (1, 2)
  return tell(
    [
      by_units(cuts, width=width, batch_size=rows, rounds=rounds),
      by_batch(batches, preset=preset, rounds=rounds),
      by_devices(devices, preset=preset, batch_size=rows, rounds=rounds),
      communication(devices[-1], preset=preset, batch_size=rows),
    ],
    given.json,
  )


def by_units(cuts, *, width: int, batch_size: int, rounds: int) -> Record:
  session = session_of("vit_cifar", batch_size)
  jobs = {f"{n} units": make_jobs(cut_vit(n, width))[STAGE] for n in cuts}
  cases = {
    name: repeated(job, session, batch_size) for name, job in jobs.items()
  }
  title = (
    f"a distill step of a ViT of {LAYERS} layers, width {width}, before a "
    f"student of half the width; batch {batch_size}"
  )
  return _compared(title, cases, rounds)


def cut_vit(num_units: int, width: int) -> SwapNet:
  """Teacher and student of as many layers; converters at every boundary."""
  preset = models.get_preset("vit_cifar")
  teacher, student = (
    Network(
      vit(
        patch=4,
        width=each,
        heads=2,
        mlp_width=2 * each,
        num_layers=LAYERS,
        layers_per_unit=LAYERS // num_units,
        num_classes=preset.num_classes,
      ),
      preset.input_shape,
    )
    for each in (width, width // 2)
  )
  return SwapNet.create(teacher, student)


def by_batch(batches, *, preset: str, rounds: int) -> Record:
  job = make_jobs(SwapNet.create(*models.create_pair(preset)))[STAGE]
  sizes = {f"batch {size}": size for size in batches}
  cases = {
    name: repeated(job, session_of(preset, size), size)
    for name, size in sizes.items()
  }
  record = _compared(f"a distill step of {preset}", cases, rounds)
  for name, row in record.rows.items():
    row["images_per_s"] = 1e3 * sizes[name] / row["median_ms"]
  return record


def by_devices(devices, *, preset: str, batch_size: int, rounds: int) -> Record:
  with contextlib.ExitStack() as stack:
    make = functools.partial(
      virtual.Worker, preset=preset, batch_size=batch_size
    )
    cases = {f"{n} virtual": stack.enter_context(make(n)) for n in devices}
    title = f"a distill step of {preset}, batch {batch_size} over devices"
    note = (
      "Virtual devices share the cores of one CPU: the ratio is what dividing "
      "the step costs or gains, and says nothing of the speed of real devices."
    )
    return _compared(title, cases, rounds, note)


def communication(devices: int, *, preset: str, batch_size: int) -> Record:
  """Of a process of its own, since this one may have a single device."""
  given = [f"--preset={preset}", f"--batch_size={batch_size}"]
  (record,) = measured(
    "communication",
    given,
    env=virtual.environment(devices),
    stdout=subprocess.DEVNULL,
  )
  return record


def _compared(title: str, cases, rounds: int, *notes: str) -> Record:
  base = next(iter(cases))
  rows = summaries(in_turns(cases, rounds=rounds, settled=True), base)
  notes = [explained(base, rounds, settled=True), machine.pages(), *notes]
  return Record(title, rows, notes)


if __name__ == "__main__":
  restart_with_large_pages()  # As `pwl_jax.main` does.
  main()
