"""The fields of a config and their defaults; files in configs/ change them.

A config is locked: a field that is not here cannot be set by mistake.
"""

from typing import Any

from ml_collections import ConfigDict

from pwl_jax.method.checks import check_choice
from pwl_jax.recipes import DEFAULT, RECIPES
from pwl_jax.training.recipe import Recipe


def default_config() -> ConfigDict:
  """Every field, with the hyper-parameters of the paper."""
  config = ConfigDict()
  config.seed = 0
  # What to do, in this order; stages that are complete are skipped.
  config.stages = "teacher,student_plain,student_kd,distill,evaluate,export"
  # The fields that it names, where they are as below: pwl_jax/recipes.py.
  config.recipe = DEFAULT
  config.parallel = "pmap"  # Or "shard_map".
  config.steps_per_call = 1  # Steps in one dispatch.
  config.log_every = 50  # Steps.
  config.evaluate_every = 5  # Epochs; also the rhythm of checkpoints.
  config.evaluation_batch = 500
  config.profile = 0  # Dispatches of each stage to trace.

  config.data = _data()
  config.augment = _augment()

  config.model = model = ConfigDict()
  model.preset = "resnet"  # `python -m pwl_jax.models` lists them.
  model.converter = "auto_residual"  # Or another of method.converters.KINDS.
  model.dtype = "float32"  # To compute in; or "bfloat16".
  model.sync_batch_norm = False  # Over the batch of all devices.

  # A teacher that exists: a checkpoint of another ecosystem, or the directory
  # of a teacher that was trained here. "" trains the preset's from scratch.
  config.imported = imported = ConfigDict()
  imported.path = ""
  imported.trains = "all"  # Or its "head" alone, or "nothing".
  _prunes(imported)

  # What the distillation starts its student from: a checkpoint, or a directory
  # as above, or that of a student that was trained here. "" draws the preset's.
  config.started = started = ConfigDict()
  started.path = ""
  _prunes(started)

  # The fields of `Recipe` in pwl_jax/training/recipe.py.
  config.teacher = ConfigDict(Recipe()._asdict())
  # Of student_plain and student_kd.
  config.student = ConfigDict(Recipe()._asdict())
  # Converters that learn so fast can run away at first: clipping prevents it.
  config.distill = ConfigDict(
    Recipe(converter_rate=1.0, clip_norm=5.0)._asdict()
  )

  config.objective = objective = ConfigDict()
  objective.alpha = 0.4
  objective.temperature = 2.0
  objective.others_weight = 0.0  # Of classes beside the label; 0: as KL has it.
  objective.feature_weight = 1.0
  objective.reconstruction_weight = 1.0
  objective.cross_weight = 2.0
  objective.cross_alpha = 0.0  # Share of the labels in it.
  objective.sampler = "paper"
  objective.stats_rule = "both"  # Or "sequence", or "student".

  # "mixed": every example its own composition; "all": every boundary in turn;
  # "per_batch": one composition for the whole batch, as the authors do.
  config.cross = "mixed"
  config.fit_converters = True  # In closed form, before the first step.
  # What the student's units are rounded to wherever the distill stage runs
  # them, while float32 is trained: "bfloat16", "int8" or "int4"; or one for
  # each unit, such as "int8,int8,float32".
  config.student_precision = "float32"

  config.evaluation = evaluation = ConfigDict()
  # Training images to measure batch statistics of half-replaced networks on;
  # 0 leaves them all as they are.
  evaluation.calibration_images = 2048
  # Training images to fit the converters on once more; 0 leaves them.
  evaluation.refit_images = 0
  evaluation.memory_budget = 0  # Bytes to name the best composition for.

  config.export = _export()
  # What the stage `precisions` compares, each for all units of the teacher; the
  # student's are stored in the same, or in the coarser of two.
  config.precisions = "float32,bfloat16,int8,int4,int8+float32,int4+float32"
  return config.lock()


def with_recipe(config: ConfigDict) -> ConfigDict:
  """A copy, with the fields of its recipe where they are at their defaults."""
  check_choice("config.recipe", config.recipe, RECIPES)
  config, defaults = config.copy_and_resolve_references(), default_config()
  for name, value in RECIPES[config.recipe].fields.items():
    if _field(config, name) == _field(defaults, name):
      config.update_from_flattened_dict({name: value})
  return config


def _field(config: ConfigDict, name: str) -> Any:
  for part in name.split("."):
    config = config[part]
  return config


def _prunes(section: ConfigDict):
  """Of what exists; shares from 0 up to and without 1."""
  section.prune_channels = 0.0  # Inside of units; makes them narrower.
  section.prune_weights = 0.0  # Of each kernel; these stay zero in training.


def _data() -> ConfigDict:
  """Which set, and how it is read."""
  data = ConfigDict()
  data.name = "digits"  # See pwl_jax/data/sources.py.
  data.data_dir = ""  # Where TFDS sets lie; "" is TFDS's own default.
  data.train_split = "train"  # Of a TFDS set.
  data.cache_dir = ""  # For decoded sets; "" is beside the data.
  data.valid_share = 0.1  # Of the training split, held out for choices.
  data.stream = "auto"  # "yes" decodes as it goes, "no" keeps all in memory.
  data.image_size = 0  # Side of a streamed image.
  data.workers = -1  # Processes that decode a stream; -1 is up to the machine.
  data.tokens = 64  # Of a text.
  data.vocabulary = 8000  # At most so many different tokens are learnt.
  # A tokenizer.json, or the folder of one; "" is that beside imported.path,
  # or one that is learnt on the training split.
  data.tokenizer = ""
  data.seconds = 1.0  # Of a sound.
  data.sample_rate = 0  # Of sounds that do not tell it.
  # Per channel, of pixels in [0, 1]; () measures them on the training split.
  data.mean = ()
  data.deviation = ()
  return data


def _augment() -> ConfigDict:
  """Random changes; what is for another kind of data changes nothing."""
  augment = ConfigDict()
  augment.crop = 4  # Pixels of reflected border.
  augment.flip = True
  augment.rotate = 15.0  # Degrees either way.
  augment.cutout = 0  # Side of a square.
  # Of sounds.
  augment.shift = 0.1  # Seconds earlier or later.
  augment.gain = 6.0  # Decibels either way.
  augment.frequency_masks = 1  # Bands that are taken out,
  augment.frequency_mask = 0.15  # each of at most this share.
  augment.time_masks = 1  # Stretches that are silenced,
  augment.time_mask = 0.1  # each of at most so many seconds.
  augment.mixup_alpha = 0.0
  return augment


def _export() -> ConfigDict:
  """What the bundle is written as."""
  export = ConfigDict()
  export.format = "orbax"  # Or "safetensors", a file per unit.
  export.platforms = ("cpu", "cuda", "tpu")  # That the programs run on.
  # What the units are stored in, and so served: float32, bfloat16, int8 or
  # int4; or one for each unit, such as "int8,int8,float32". Of the student, ""
  # is what it was distilled for, student_precision; units of the teacher may
  # come in two, coarse first: int8+float32 or int4+float32.
  export.student = ""
  export.teacher = "float32"
  # Training examples to choose the scales of int8 and int4 on; 0 rounds every
  # kernel by itself, and so do student units in what they were distilled for.
  export.fit_examples = 0
  export.directory = ""  # Of the bundle; "" is bundle/ in the workdir.
  return export
