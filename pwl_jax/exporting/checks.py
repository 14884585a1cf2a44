"""What is held before anything is exported, which takes a while."""

import math
from collections.abc import Collection, Mapping, Sequence

import jax
from jax import export

from pwl_jax.bundle import valid
from pwl_jax.bundle.inputs import (
  RESIZES,
  ImageInput,
  Input,
  SoundInput,
  TextInput,
)
from pwl_jax.bundle.parts import Composition
from pwl_jax.data.tokens import Tokenizer
from pwl_jax.evaluation.calibration import nodes_to_calibrate
from pwl_jax.evaluation.improvements import Improvements
from pwl_jax.method import composition as compositions_of
from pwl_jax.method.checks import check_choice
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models.audio import sample_rate
from pwl_jax.models.embedding import vocabulary

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")  # That jax exports programs for.


def check(
  swapnet: SwapNet,
  *,
  input: Input,
  class_names: Sequence[str],
  compositions: Mapping[str, Composition],
  ladder: Sequence[str],
  coarse: Collection[int],
  improvements: Improvements,
  platforms: Sequence[str],
):
  """Raises what is wrong with anything but the variables."""
  _check_process()
  check_platforms(platforms)
  _check_input(swapnet, input)
  _check_class_names(swapnet, class_names)
  valid.check_ladder(ladder, swapnet.num_units, coarse)
  for word, found in compositions.items():
    compositions_of.validate(word, swapnet.num_units, coarse)
    _check_accuracies(word, found)
  _check_calibrated(swapnet, improvements)


def _check_process():
  if jax.process_index():
    raise ValueError("a bundle is written by the first process of a run alone")
  if jax.config.jax_enable_x64:
    raise ValueError(
      "jax_enable_x64 is on, and programs would compute in float64; a bundle "
      "is exported with it off (JAX_ENABLE_X64=0)"
    )


def check_platforms(platforms: Sequence[str]):
  """Raises unless all are known, and this machine's is among them."""
  if isinstance(platforms, str):
    raise ValueError(
      f"platforms is {platforms!r}; give a tuple of names, such as "
      f"({platforms!r},)"
    )
  for name in platforms:
    check_choice("platform", name, PLATFORMS)
  if len(set(platforms)) < len(platforms):
    raise ValueError(f"platforms are {tuple(platforms)}; name each once")
  here = export.default_export_platform()
  if here not in PLATFORMS:
    raise ValueError(
      f"this process runs on {here}, for which no programs are exported; let "
      "it run on another platform, such as JAX_PLATFORMS=cpu"
    )
  if here not in platforms:
    raise ValueError(
      f"platforms are {tuple(platforms)} without {here}, on which this process "
      f"checks the programs; give {(*platforms, here)}"
    )


def _check_input(swapnet: SwapNet, input: Input):
  """Raises unless it is what the networks take, and can be normalised."""
  expected = swapnet.teacher.input_shape
  if tuple(input.shape) != expected:
    raise ValueError(
      f"input is of {tuple(input.shape)}, but the networks take {expected}"
    )
  if isinstance(input, TextInput):
    _check_tokens(swapnet, input)
  if isinstance(input, SoundInput):
    _check_rate(swapnet, input)
  if not isinstance(input, ImageInput):
    return
  check_choice("resize", input.resize, RESIZES)
  for name in ("mean", "deviation"):
    valid.check_channels(f"input.{name}", getattr(input, name), expected[-1])
  if not all(map(math.isfinite, (*input.mean, *input.deviation))):
    raise ValueError(
      f"input.mean is {tuple(input.mean)} and input.deviation "
      f"{tuple(input.deviation)}; both have to be finite"
    )
  if not all(deviation > 0 for deviation in input.deviation):
    raise ValueError(
      f"input.deviation is {tuple(input.deviation)}, and images are divided by "
      "it; it has to be above 0"
    )


def _check_tokens(swapnet: SwapNet, input: TextInput):
  tokens = Tokenizer(input.tokenizer, input.length).vocab_size
  for role in (swapnet.teacher, swapnet.student):
    known = vocabulary(role)
    if known is not None and known.size < tokens:
      raise ValueError(
        f"input.tokenizer has {tokens:,} tokens, and a network knows "
        f"{known.size:,}; give the one that they were trained with"
      )


def _check_rate(swapnet: SwapNet, input: SoundInput):
  for role in (swapnet.teacher, swapnet.student):
    rate = sample_rate(role)
    if rate not in (None, input.sample_rate):
      raise ValueError(
        f"input.sample_rate is {input.sample_rate}, and a network makes its "
        f"spectrograms of {rate} samples a second; give that"
      )


def _check_class_names(swapnet: SwapNet, class_names: Sequence[str]):
  classes = swapnet.teacher.num_classes
  if class_names and len(class_names) != classes:
    raise ValueError(
      f"{len(class_names)} class names for {classes} classes; give one for "
      "each, or none at all"
    )
  for name in class_names:
    if not isinstance(name, str):
      raise ValueError(f"class_names has {name!r}; each has to be text")


def _check_accuracies(word: str, found: Composition):
  for name in ("valid", "test"):
    accuracy = getattr(found, name)
    if accuracy is not None and not 0 <= accuracy <= 1:
      raise ValueError(
        f"{name} of composition {word} is {accuracy}; an accuracy is a share "
        "from 0 to 1, or None where it was not measured"
      )


def _check_calibrated(swapnet: SwapNet, improvements: Improvements):
  for word in improvements.calibrated:
    compositions_of.validate(word, swapnet.num_units)
  for node in nodes_to_calibrate(swapnet, improvements.calibrated):
    if node not in improvements.statistics:
      raise ValueError(
        f"a composition that begins with {node} is calibrated, and the "
        "improvements have no statistics of it"
      )
