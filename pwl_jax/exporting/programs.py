"""Every unit and every conversion of a swap network as a program of its own.

A program takes the leaves of its piece, by name and in the precision that they
are stored in, and a feature of any batch size; weights are arguments, never
constants. The first units take uint8 images and normalise them, or tokens, or
samples.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from pwl_jax.bundle.manifest import DECODE, ENCODE, RUN, Input
from pwl_jax.bundle.names import flat, nested
from pwl_jax.bundle.parts import made_of
from pwl_jax.compress.leaves import decode
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.method import composition as compositions
from pwl_jax.method.feature import packed, unpacked, values_of
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet, boundary_name

Leaves = Mapping[str, Any]  # Name -> array, or what it looks like.
# How far a program may be from the network, of the largest value: they are
# compiled apart, and accelerators round the factors of a product.
TOLERANCES = {"float32": 2e-3}
OTHER_TOLERANCE = 5e-2


class Task(NamedTuple):
  """What becomes a program. Features come and go in plain types: `packed`."""

  piece: str
  role: str
  function: Callable[[Leaves, Any], Any]
  takes: Any  # One feature, abstract, with a batch of 1.


def tasks(
  swapnet: SwapNet,
  pieces: Mapping[str, Leaves],
  *,
  input: Input,
  exact: frozenset[int] = frozenset(),
) -> list[Task]:
  """All programs that there are to make of these pieces.

  Conversions at the boundaries `exact` round nothing on any device.
  """
  found, features = [], {}
  for letter, role in compositions.ROLES.items():
    feature = jax.ShapeDtypeStruct((1, *input.shape), input.dtype)
    for i in range(swapnet.num_units):
      piece = f"{role}/{unit_name(i)}"
      run = _unit(swapnet, i, letter, input)
      found += [
        Task(name, RUN, run, feature)
        for name in (*made_of(piece, pieces)[:1], piece)
      ]
      feature = jax.eval_shape(run, pieces[piece], feature)
      features[letter, i] = feature
  for i in range(swapnet.num_units - 1):
    ways = {ENCODE: compositions.TEACHER, DECODE: compositions.STUDENT}
    sides = [unpacked(features[letter, i]) for letter in ways.values()]
    dtypes = [values_of(feature).dtype for feature in sides]
    if len(set(dtypes)) > 1:
      raise ValueError(
        f"teacher and student compute in {dtypes[0]} and {dtypes[1]} at "
        f"boundary {i}; a bundle needs networks that compute in the same dtype"
      )
    if swapnet.has_converter(i):
      for role, letter in ways.items():
        convert = _conversion(swapnet, i, role, exact=i in exact)
        piece = f"converters/{boundary_name(i)}"
        found.append(Task(piece, role, convert, features[letter, i]))
  return found


def export_program(
  task: Task, leaves: Leaves, platforms: Sequence[str]
) -> export.Exported:
  """One program for all platforms and every batch size."""
  (batch,) = export.symbolic_shape("b")
  takes = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype),
    task.takes,
  )
  shapes = {
    name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    for name, leaf in leaves.items()
  }
  make = export.export(jax.jit(task.function), platforms=platforms)
  with _without_locations():
    return make(shapes, takes)


@contextlib.contextmanager
def _without_locations() -> Iterator[None]:
  """Paths of this machine's sources have no business in a program."""
  name = "jax_traceback_in_locations_limit"
  before = getattr(jax.config, name)
  jax.config.update(name, 0)
  try:
    yield
  finally:
    jax.config.update(name, before)


def check_programs(
  swapnet: SwapNet,
  variables: Mapping[str, Any],
  pieces: Mapping[str, Leaves],
  programs: Mapping[tuple[str, str], export.Exported],
  *,
  input: Input,
):
  """Raises where a program does not give what the swap network gives."""
  for piece, role, x, golden in _passes(swapnet, variables, input):
    actual = jax.jit(programs[piece, role].call)(pieces[piece], packed(x))
    actual, golden = values_of(unpacked(actual)), values_of(golden)
    tolerance = TOLERANCES.get(str(golden.dtype), OTHER_TOLERANCE)
    actual, golden = (np.asarray(a, np.float32) for a in (actual, golden))
    for values, what in ((golden, "network"), (actual, f"{role} program")):
      if not np.isfinite(values).all():
        raise ValueError(
          f"the {what} gives numbers at {piece} that are not finite; see "
          "whether its weights are, and train it again; nothing was written"
        )
    scale = np.max(np.abs(golden), initial=0)
    if not np.allclose(actual, golden, rtol=0, atol=tolerance * scale):
      worst = np.max(np.abs(actual - golden))
      raise ValueError(
        f"the {role} program of {piece} is up to {worst:.3g} away from the "
        f"network, whose values go up to {scale:.3g}; nothing was written"
      )


def _passes(
  swapnet: SwapNet, variables: Mapping[str, Any], input: Input
) -> Iterator[tuple[str, str, Any, Any]]:
  """Student and teacher on a few inputs, and both ways over every boundary.

  Piece, role, and what goes into the network there and what comes out.
  """
  inputs = noise(input, 3)
  coarse = compositions.GROUPS[compositions.COARSE]
  ways = {compositions.TEACHER: ENCODE, compositions.STUDENT: DECODE}
  for letter, role in compositions.ROLES.items():
    x = inputs
    for i in range(swapnet.num_units):

      def run(own, x, i=i, letter=letter, role=role):
        x = x if i else to_network(x, input)
        return swapnet.run_unit({role: own}, i, letter, x)[0]

      if role == "teacher" and unit_name(i) in variables.get(coarse, {}):
        rounded = jax.jit(run)(variables[coarse], x)
        yield f"{coarse}/{unit_name(i)}", RUN, x, rounded
      feature = jax.jit(run)(variables[role], x)
      yield f"{role}/{unit_name(i)}", RUN, x, feature
      x = feature
      if i < swapnet.num_units - 1 and swapnet.has_converter(i):
        way = ways[letter]
        convert = jax.jit(getattr(swapnet, way), static_argnums=1)
        own = {"converters": variables["converters"]}
        yield f"converters/{boundary_name(i)}", way, x, convert(own, i, x)


# All of them are called `run`: programs of units that do the same are then
# the same bytes, and are compiled once.
def _unit(swapnet: SwapNet, i: int, letter: str, input: Input) -> Callable:
  role, unit = compositions.ROLES[letter], unit_name(i)
  known = getattr(swapnet, role).abstract_variables()[unit]
  shapes = {name: leaf.shape for name, leaf in flat(known).items()}

  def run(leaves, feature):
    if i == 0:
      feature = to_network(feature, input)
    variables = {role: {unit: nested(decode(leaves, shapes))}}
    found, _ = swapnet.run_unit(variables, i, letter, unpacked(feature))
    return packed(found)

  return run


def _conversion(
  swapnet: SwapNet, i: int, role: str, *, exact: bool
) -> Callable:
  def run(leaves, feature):
    variables = {"converters": {boundary_name(i): nested(leaves)}}
    precision = (
      jax.default_matmul_precision("highest")
      if exact
      else contextlib.nullcontext()
    )
    with precision:
      convert = getattr(swapnet, role)
      return packed(convert(variables, i, unpacked(feature)))

  return run
