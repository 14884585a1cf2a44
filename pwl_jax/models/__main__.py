"""Lists the presets: `python -m pwl_jax.models [NAME ...]`."""

import sys

from pwl_jax import models
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import count_parameters


def describe(name: str) -> str:
  """A few lines on one preset: both networks, unit by unit."""
  networks = dict(zip(models.ROLES, models.create_pair(name), strict=True))
  swapnet = SwapNet.create(**networks)
  converters = sum(map(swapnet.has_converter, range(swapnet.num_units - 1)))
  title = (
    f"{name}: {swapnet.num_units} units, {converters} converters, "
    f"{_input(models.get_preset(name))}, {swapnet.teacher.num_classes} classes"
  )
  return "\n".join(
    [title, *(f"  {role} {_sizes(net)}" for role, net in networks.items())]
  )


def _input(preset: models.Preset) -> str:
  """What one input is."""
  sides = "x".join(map(str, preset.input_shape))
  known = {"texts": f"texts of {sides} tokens", "images": f"images {sides}"}
  return known.get(preset.kind, f"sounds of {sides} samples")


def _sizes(network: Network) -> str:
  """The parameters in all, then of every unit, with the widths between."""
  variables = network.abstract_variables()
  units = [f"{count_parameters(unit):,}" for unit in variables.values()]
  line = units[0]
  for shape, unit in zip(network.shapes(), units[1:], strict=False):
    line += f" |{shape[-1]}| {unit}"
  return f"{count_parameters(variables):>10,} = {line}"


def main(names: list[str]):
  for name in names:
    models.get_preset(name)
  print("Parameters of every unit, and between them |the width there|.")
  for name in names or models.PRESETS:
    print(f"\n{describe(name)}", flush=True)


if __name__ == "__main__":
  try:
    main(sys.argv[1:])
  except ValueError as error:
    sys.exit(f"error: {error}")
