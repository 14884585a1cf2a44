"""What a person sees of a run: one screen before it, one table after it."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pwl_jax.data.dataset import Dataset
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import count_parameters
from pwl_jax.report import phrases
from pwl_jax.training.reporting import format_seconds


def of_run(
  swapnet: SwapNet,
  dataset: Dataset,
  devices: Sequence[jax.Device],
  workdir: pathlib.Path,
  plans: Mapping[str, str],
) -> Group:
  """Devices, data, networks unit by unit, and what is planned by stage."""
  facts = Table.grid(padding=(0, 2))
  given = dataset.input
  examples = phrases.examples(
    dataset.input_shape, given.kind, getattr(given, "sample_rate", None)
  )
  sizes = [f"{len(s):,}" for s in (dataset.train, dataset.valid, dataset.test)]
  for name, value in (
    ("devices", f"{len(devices)} x {devices[0].device_kind}"),
    (
      "data",
      f"{dataset.name}: {sizes[0]} to train on, {sizes[1]} held out, "
      f"{sizes[2]} to report on; {examples}, "
      f"{dataset.num_classes} classes",
    ),
    ("workdir", str(workdir)),
    (
      "stages",
      ", ".join(f"{name} ({plan})" for name, plan in plans.items()),
    ),
  ):
    facts.add_row(Text(name, style="bold"), Text(value))
  return Group(facts, _networks(swapnet))


def _networks(swapnet: SwapNet) -> Table:
  """A row per unit: a terminal is longer than it is wide."""
  table = Table(box=None, header_style="bold")
  table.add_column("")
  columns = []
  for role in ("teacher", "student"):
    network: Network = getattr(swapnet, role)
    variables = network.abstract_variables()
    counts = [count_parameters(v) for v in variables.values()]
    columns += [
      [f"{count:,}" for count in (*counts, sum(counts))],
      [str(shape[-1]) for shape in network.shapes()] + [""],
    ]
    table.add_column(f"{role} parameters", justify="right")
    table.add_column("width", justify="right")
  titles = [f"unit {i}" for i in range(swapnet.num_units)] + ["whole"]
  for row in zip(titles, *columns, strict=True):
    table.add_row(*row)
  return table


def of_results(rows: Sequence[tuple[str, dict[str, Any]]]) -> Table:
  """Accuracy on the test split, a line per network or composition."""
  table = Table("answered by", "test accuracy", "loss", box=None)
  table.columns[1].justify = table.columns[2].justify = "right"
  for title, metrics in rows:
    table.add_row(
      title, f"{100 * metrics['accuracy']:.2f} %", f"{metrics['loss']:.3f}"
    )
  return table


def in_words(result: dict[str, Any]) -> str:
  reached = f"{100 * result['valid']['accuracy']:.1f} % on held-out data"
  if not result["steps"]:
    return f"{reached}, as it was"
  return (
    f"{reached} after {result['steps']:,} steps, "
    f"{format_seconds(result['seconds'])}"
  )


def of_next_steps(
  workdir: pathlib.Path, missing: Sequence[str], bundle: pathlib.Path | None
) -> Text:
  """What there is to look at and to do; `bundle` where one is written."""
  text = (
    f"Weights, metrics and checkpoints are in {workdir}\n"
    "The curves, where TensorBoard is installed:\n"
    f"  tensorboard --logdir={workdir}"
  )
  if missing:
    text += (
      "\nNot there yet; the same command makes it with\n"
      f"  --config.stages={','.join(missing)}"
    )
  elif bundle:
    text += (
      f"\nServed while it loads:\n  python -m pwl_jax.play --bundle={bundle}"
    )
  else:
    text += (
      "\nTo serve it, the same command writes a bundle with\n"
      "  --config.stages=export"
    )
  return Text(text)
