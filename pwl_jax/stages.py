"""From a config to a run: plain values come out here, and config objects stop.

What the stages are, and which of them run, is in `pipeline.py`.
"""

import contextlib
import pathlib

import jax
from ml_collections import ConfigDict
from rich.console import Console

from pwl_jax import workdirs
from pwl_jax.bundle.inputs import ImageInput, TextInput
from pwl_jax.config import with_recipe
from pwl_jax.context import Context
from pwl_jax.data.dataset import channel_statistics
from pwl_jax.data.inputs import changes_for
from pwl_jax.data.sources import load_dataset
from pwl_jax.data.tokenizer_files import keep_tokenizer
from pwl_jax.evaluation.examine import Options
from pwl_jax.existing import Wanted
from pwl_jax.exporting.precision import parse
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.layers import DTYPES
from pwl_jax.pipeline import (
  READ,
  run_stage,
  show_plan,
  show_results,
  stages_left,
)
from pwl_jax.teachers import Networks, make_networks, tokenizer_for
from pwl_jax.training import distributed, kinds
from pwl_jax.training.interruption import Request, listening
from pwl_jax.training.parallel import Devices
from pwl_jax.training.recipe import Recipe
from pwl_jax.training.session import Data, Machine, Session
from pwl_jax.training.trees import write_json

EXAMPLES = 256  # To measure the batch norms of pruned networks on.


def run(config: ConfigDict, workdir: pathlib.Path | str):
  """Runs the stages of a config, and shows what was reached."""
  workdir = pathlib.Path(workdir)
  console = Console(quiet=not distributed.is_first())
  with listening() as request, contextlib.ExitStack() as stack:
    with distributed.together():  # Every mistake of a config shows in here.
      context = make_context(config, workdir, console, request)
      names = [name.strip() for name in config.stages.split(",")]
      left = stages_left(names, context)
      if distributed.is_first():
        stack.enter_context(workdirs.locked(workdir))
        write_json(workdir / "config.json", context.fields)
        keep_tokenizer(workdir, context.session.data.input)
    distributed.check_alike(
      "configs or data", str(workdirs.read_by(READ, context.fields))
    )
    show_plan(context, names, left)
    for name in left:
      request.check(f"before {name}")
      run_stage(name, context)
    request.check("before the results")
    show_results(context)


def make_context(
  config: ConfigDict, workdir: pathlib.Path, console: Console, request: Request
) -> Context:
  """Loads the data and builds the networks."""
  config = with_recipe(config)
  data = _data(config)
  devices = sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
  networks = _networks(config, data, devices)
  fields = config.to_dict()
  fields["data"]["fingerprint"] = data.dataset.fingerprint
  fields["imported"] |= networks.teacher.fields
  fields["started"] |= networks.student.fields
  fields["export"]["student"] = (
    config.export.student or config.student_precision
  )
  evaluation = config.evaluation.to_dict()
  budget = evaluation.pop("memory_budget")
  machine = {name: config[name] for name in Machine._fields if name in config}
  return Context(
    workdir=workdir,
    session=Session(
      data=data,
      machine=Machine(devices, **machine),
      seed=config.seed,
      console=console,
      request=request,
    ),
    swapnet=SwapNet.create(
      networks.teacher.network,
      networks.student.network,
      converter=config.model.converter,
    ),
    starts=networks._asdict(),
    trains=config.imported.trains,
    recipes={
      name: Recipe(**config[name].to_dict())
      for name in ("teacher", "student", "distill")
    },
    objective=config.objective.to_dict(),
    cross=config.cross,
    fit_converters=config.fit_converters,
    student_precisions=_student_precisions(config, networks),
    evaluation=Options(**evaluation),
    memory_budget=budget,
    export_format=config.export.format,
    export_platforms=tuple(config.export.platforms),
    export_precisions=(fields["export"]["student"], config.export.teacher),
    export_fit_examples=config.export.fit_examples,
    export_directory=config.export.directory,
    compared_precisions=config.precisions,
    fields=workdirs.flat(fields),
  )


def _student_precisions(
  config: ConfigDict, networks: Networks
) -> tuple[str, ...]:
  given, num_units = (
    config.student_precision,
    networks.student.network.num_units,
  )
  try:
    return parse(given, num_units, network="student")
  except ValueError as error:
    raise ValueError(f"config.student_precision: {error}") from None


def _data(config: ConfigDict) -> Data:
  """The set, what its examples are, and how they are changed at random."""
  options = config.data.to_dict()
  name, mean, deviation = map(options.pop, ("name", "mean", "deviation"))
  existing = [config.imported.path, config.started.path]
  existing = [path for path in existing if path]
  tokenizer = tokenizer_for(options.pop("tokenizer"), *existing)
  dataset = load_dataset(name, tokenizer=tokenizer, **options)
  input = dataset.input
  if isinstance(input, TextInput) and existing and not tokenizer:
    raise ValueError(
      f"{existing[0]} has no tokeniser beside it, and learnt another "
      "one's numbers; name its own as config.data.tokenizer"
    )
  if isinstance(input, ImageInput):
    if not (mean or deviation):
      mean, deviation = channel_statistics(dataset.train)
    input = input._replace(mean=tuple(mean), deviation=tuple(deviation))
  return Data(dataset, input, changes_for(input, config.augment.to_dict()))


def _networks(config: ConfigDict, data: Data, devices: Devices) -> Networks:
  check_choice("dtype", config.model.dtype, DTYPES)
  check_choice("imported.trains", config.imported.trains, kinds.TRAINS)
  networks = make_networks(
    config.model.preset,
    imported=_wanted("imported", config),
    started=_wanted("started", config),
    num_classes=data.dataset.num_classes,
    input=data.input,
    dtype=DTYPES[config.model.dtype],
    sync=config.model.sync_batch_norm,
    seed=config.seed,
    devices=devices,
    examples=lambda: _examples(data, config.seed),
  )
  if config.imported.trains == "nothing" and (
    networks.teacher.variables is None or networks.teacher.has_new_head
  ):
    raise ValueError(
      'imported.trains is "nothing", but '
      + (
        "its head is new"
        if networks.teacher.has_new_head
        else "imported.path is empty"
      )
      + '; use "head" or "all"'
    )
  return networks


def _examples(data: Data, seed: int) -> jax.Array:
  """Some to train on, as networks take them."""
  data.check()
  examples = data.training_examples(EXAMPLES, seed=seed)
  return data.normalise(examples.sample(EXAMPLES).inputs)


def _wanted(section: str, config: ConfigDict) -> Wanted:
  fields = config[section]
  return Wanted(
    section, fields.path, fields.prune_channels, fields.prune_weights
  )
