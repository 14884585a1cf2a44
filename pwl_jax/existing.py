"""A network that exists: read from where it lies, and pruned.

It is a foreign checkpoint or what a stage of ours left, and becomes what the
teacher, or the student of the distillation, begins with. A stage tells in its
config which of the preset's networks it is made of and how that was narrowed,
so that a pruned network can be read, and pruned once more.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from pwl_jax import models, workdirs
from pwl_jax.compress import prune
from pwl_jax.compress.restore import with_statistics_of
from pwl_jax.interop import load_network, with_classes
from pwl_jax.method.network import Network
from pwl_jax.models.embedding import vocabulary
from pwl_jax.training.artefacts import (
  digest,
  is_complete,
  load_result,
  load_variables,
  placed,
  saved_shapes,
)
from pwl_jax.training.parallel import Devices, sharding

STAGES = ("teacher", "student_plain", "student_kd", "distill")


class Wanted(NamedTuple):
  """What a section of a config says of a network that exists."""

  section: str
  path: str = ""
  prune_channels: float = 0.0
  prune_weights: float = 0.0

  def check(self):
    for name in ("prune_channels", "prune_weights"):
      share = getattr(self, name)
      prune.check_share(share, f"{self.section}.{name}")
      if share and not self.path:
        raise ValueError(
          f"{self.section}.{name} is {share}, but {self.section}.path is "
          "empty: what is pruned is a network that was trained. Train it "
          "first, and give the directory of that stage, such as "
          f"WORKDIR/{'teacher' if self.section == 'imported' else STAGES[1]}"
        )


class Start(NamedTuple):
  """A network, and what it begins with."""

  network: Network
  of: str  # Which of the preset's networks it is, or stands for.
  narrowed: tuple[float, ...] = ()  # By these shares, one after the other.
  variables: Any = None  # The first; None draws them.
  digest: str = ""  # Of what was read, before it was pruned.
  has_new_head: bool = False  # Beside what was read.
  keeps_zeros: bool = False  # Whether its weights were pruned.

  @property
  def fields(self) -> dict[str, Any]:
    """What stages depend on, beside the section of the config."""
    return {
      "digest": self.digest,
      "network": self.of,
      "narrowed": list(self.narrowed),
    }


def make_start(
  role: str,
  wanted: Wanted,
  *,
  preset: str,
  num_classes: int,
  seed: int,
  devices: Devices,
  examples: Callable[[], jax.Array],
  sizes: Mapping[str, Any],
) -> Start:
  """A network in a role: the preset's, or one that exists, pruned as asked.

  Args:
    role: "teacher", which only a teacher can be, or "student".
    wanted: which one; without a path it is the preset's, to be drawn.
    preset: what networks there are, and how many units they have.
    num_classes: another number than that of what exists makes a new head.
    seed: of a new head.
    devices: where the variables go.
    examples: some inputs, for the batch norms of what is pruned.
    sizes: what else `models.create` has to know.
  """
  wanted.check()
  own = models.create(preset, role, num_classes=num_classes, **sizes)
  if not wanted.path:
    return Start(own, role)
  path = pathlib.Path(wanted.path)
  if is_complete(path):
    start = _one_of_ours(path, role, wanted.section, preset, devices, sizes)
  else:
    _check_no_stage(path, wanted.section)
    start = Start(*_foreign(path, own, sizes["dtype"]))
  start = start._replace(digest=digest(start.variables))
  if wanted.prune_channels or wanted.prune_weights:
    start = _pruned(start, wanted, examples())
  network, variables, is_new = with_classes(
    start.network, start.variables, num_classes, jax.random.key(seed)
  )
  return start._replace(
    network=network, variables=variables, has_new_head=is_new
  )


def _one_of_ours(
  path: pathlib.Path,
  role: str,
  section: str,
  preset: str,
  devices: Devices,
  sizes: Mapping[str, Any],
) -> Start:
  """What a stage made, a teacher or a student."""
  shapes = saved_shapes(path)
  held = [name for name in models.ROLES if name in shapes]
  if not held or (role == "teacher" and "teacher" not in held):
    allowed = "a teacher" if role == "teacher" else " or ".join(STAGES)
    raise ValueError(
      f"{path} holds {' and '.join(shapes)}; {section}.path is the directory "
      f"of {allowed}"
    )
  fields = workdirs.fields_of(path)
  known = "imported." if held[0] == "teacher" else "started."
  of = fields.get(f"{known}network", held[0])
  network = models.create(
    preset, of, num_classes=load_result(path)["num_classes"], **sizes
  )
  shares = tuple(fields.get(f"{known}narrowed", ()))
  for share in shares:
    network = prune.narrowed(network, share)
  # The others, such as converters, as they are.
  shapes = {**shapes, held[0]: network.abstract_variables()}
  found = load_variables(path, placed(shapes, sharding(devices)))
  return Start(network, of, shares, found[held[0]])


def _check_no_stage(path: pathlib.Path, section: str):
  """Raises where a path is almost that of a stage."""
  stages = [name for name in STAGES if is_complete(path / name)]
  if section == "imported":
    stages = [name for name in stages if name == "teacher"]
  if stages:
    which = "its teacher" if stages == ["teacher"] else "one of its stages"
    places = ", ".join(str(path / name) for name in stages)
    raise ValueError(
      f"{path} is a workdir; {section}.path is that of {which}, {places}"
    )
  if (path / "checkpoints").is_dir() and (path / workdirs.CONFIG).exists():
    raise ValueError(
      f"{path} is a stage that is not complete; let it run to its end first, "
      f"with --config.stages={path.name}"
    )


def _pruned(start: Start, wanted: Wanted, examples: jax.Array) -> Start:
  network, variables = start.network, start.variables
  shares = start.narrowed
  if wanted.prune_channels:
    shares = (*shares, wanted.prune_channels)
    try:
      network, variables = prune.prune_channels(network, variables, shares[-1])
    except ValueError as error:
      raise ValueError(
        f"config.{wanted.section}.prune_channels: {error}"
      ) from None
  variables = prune.prune_weights(variables, wanted.prune_weights)
  return start._replace(
    network=network,
    narrowed=shares,
    variables=with_statistics_of(network, variables, examples),
    keeps_zeros=wanted.prune_weights > 0,
  )


def _foreign(
  path: pathlib.Path, own: Network, dtype: Any
) -> tuple[Network, str, tuple[float, ...], Any]:
  """In as many units as the preset's own, which takes the same data."""
  network, variables = load_network(
    path, num_units=own.num_units, input_shape=own.input_shape, dtype=dtype
  )
  _check_kind(path, network, own)
  _check_tokens(path, network, own)
  return network, "teacher", (), variables


def _check_kind(path: pathlib.Path, found: Network, own: Network):
  """Raises where a foreign network is fed something else than the data."""
  if found.input_dtype != own.input_dtype:
    told = [
      "texts" if network.input_dtype == "int32" else "no texts"
      for network in (found, own)
    ]
    raise ValueError(
      f"{path} is a network of {told[0]}, and the data are {told[1]}; use "
      "other data, or another teacher"
    )


def _check_tokens(path: pathlib.Path, found: Network, own: Network):
  known, needed = map(vocabulary, (found, own))
  if known is None or needed is None:
    return
  if known.size < needed.size:
    raise ValueError(
      f"{path} knows {known.size:,} tokens, and the tokeniser has "
      f"{needed.size:,}; set config.data.tokenizer to the one it was trained "
      "with"
    )
  if known.pad_id != needed.pad_id:
    raise ValueError(
      f"{path} takes token {known.pad_id} for padding, and here it is "
      f"{needed.pad_id}; only networks with that are read"
    )
