"""Any foreign checkpoint by its path; what it is, is told from what is there.

Files that are pickles are never opened: they can run any code.
"""

import pathlib
from typing import Any, NamedTuple

import jax.numpy as jnp

from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.cutting import cut, with_input_shape
from pwl_jax.interop.huggingface import MODEL_TYPES, load_huggingface
from pwl_jax.interop.language import DIALECTS
from pwl_jax.interop.reference import load_reference
from pwl_jax.interop.torchvision import load_torchvision
from pwl_jax.method.network import Network
from pwl_jax.models import layers

WEIGHTS = "model.safetensors"
PICKLES = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".tar")
READABLE = (
  "read here are a directory saved by transformers (config.json with a "
  f"model_type of {' or '.join(MODEL_TYPES)}, and {WEIGHTS}), a directory of "
  f"the PWL authors' code (teacher_config/, student_config/ and {WEIGHTS}), "
  "and a .safetensors file with torchvision's or timm's names of a ResNet, "
  "ViT or VGG with batch norm"
)
CONVERT_FILE = (
  "convert it where torch is installed: safetensors.torch.save_file("
  'torch.load(PATH, map_location="cpu", weights_only=True), '
  "\"model.safetensors\"), for a state dict with torchvision's or timm's names"
)
CONVERT_DIRECTORY = (  # With "Image" or "Sequence" for {kind}.
  "convert it where torch is installed: transformers."
  "AutoModelFor{kind}Classification.from_pretrained(DIRECTORY)"
  '.save_pretrained(NEW_DIRECTORY, max_shard_size="100GB")'
)


class Found(NamedTuple):
  """A checkpoint whose format is known."""

  format: str  # "huggingface", "reference" or "torchvision"
  path: pathlib.Path  # what the loader of the format takes


def load_network(
  path: str | pathlib.Path,
  *,
  num_units: int | None = None,
  input_shape: tuple[int, ...] | None = None,
  heads: int | None = None,
  dtype: layers.Dtype = jnp.float32,
) -> tuple[Network, dict[str, Any]]:
  """One network and its variables; of the authors' two, the teacher.

  Args:
    path: a directory or a `.safetensors` file, in any format of this package.
    num_units: of the network, as many as the student's. The layers of a ViT,
      BERT or DistilBERT are shared out evenly (one to a unit by default, the
      authors' as theirs are); the units of the others are given.
    input_shape: height, width, channels of the images, or the number of
      tokens. ResNet and VGG take any size, a language model any number up to
      that of its positions; the others only that of their weights. That is
      the default.
    heads: of a ViT's attention, where neither a config nor its width tells.
    dtype: to compute in; parameters are float32.
  """
  found = recognise(path)
  if heads is not None and found.format != "torchvision":
    raise ValueError(
      f"{found.path} has a config, which tells the number of heads; leave "
      "heads out"
    )
  if found.format == "reference":
    swapnet, both = load_reference(found.path, dtype=dtype)
    network, variables = swapnet.teacher, both["teacher"]
  elif found.format == "huggingface":
    network, variables = load_huggingface(found.path, dtype=dtype)
  else:
    network, variables = load_torchvision(found.path, heads=heads, dtype=dtype)
  try:
    if num_units is not None:
      network, variables = cut(network, variables, num_units)
    if input_shape is not None:
      network = with_input_shape(network, input_shape)
  except ValueError as error:
    raise ValueError(f"{found.path}: {error}") from error
  return network, variables


def recognise(path: str | pathlib.Path) -> Found:
  """The format of what lies at a path; an error says what was found there."""
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(
      f"{path} does not exist; nothing is downloaded, give the path of a "
      f"checkpoint on this machine: {READABLE}"
    )
  if path.is_dir():
    return _in_directory(path)
  if path.suffix in PICKLES:
    raise ValueError(
      f"{path} is a pickle, which can run any code and is never opened; "
      f"{CONVERT_FILE}"
    )
  if path.suffix != ".safetensors":
    raise ValueError(f"{path} is of no format known here; {READABLE}")
  beside = [path.parent / "config.json", _teacher_config(path.parent)]
  if path.name == WEIGHTS and any(config.exists() for config in beside):
    return _in_directory(path.parent)
  return Found("torchvision", path)


def _in_directory(directory: pathlib.Path) -> Found:
  if _teacher_config(directory).exists():
    return Found("reference", directory)
  if (directory / "config.json").exists():
    config = ForeignConfig(directory / "config.json")
    model_type = config.get("model_type", None)
    if model_type is not None or config.get("architecture", None) is None:
      _check_model_type(config, model_type)
      kind = "Sequence" if model_type in DIALECTS else "Image"
      _check_weights(directory, CONVERT_DIRECTORY.format(kind=kind))
      return Found("huggingface", directory)
    _check_weights(directory, CONVERT_FILE)  # The config is one of timm's.
    return Found("torchvision", directory / WEIGHTS)
  files = sorted(directory.glob("*.safetensors"))
  if len(files) > 1:
    raise ValueError(
      f"{directory} holds several networks or parts of one: "
      f"{[file.name for file in files]}; give the path of one file"
    )
  if not files:
    _check_weights(directory, CONVERT_FILE)
  return Found("torchvision", files[0])


def _check_model_type(config: ForeignConfig, model_type: Any):
  if model_type in MODEL_TYPES:
    return
  hint = ""
  if str(model_type).startswith("block_"):
    hint = (
      ", one network of the PWL authors' code; give the directory of the whole "
      "swap network, which has it in teacher_config/"
    )
  raise ValueError(
    f"{config.path} has model_type {model_type!r}{hint}; {READABLE}"
  )


def _check_weights(directory: pathlib.Path, convert: str):
  """Raises unless the weights are there, in one file that is no pickle."""
  if (directory / WEIGHTS).exists():
    return
  names = sorted(p.name for p in directory.iterdir())
  if (directory / f"{WEIGHTS}.index.json").exists():
    convert = f"its weights are in several files; {convert}"
  elif any(pathlib.Path(name).suffix in PICKLES for name in names):
    convert = f"a pickle can run any code and is never opened; {convert}"
  else:
    convert = READABLE
  raise FileNotFoundError(
    f"{directory} holds no {WEIGHTS}, it holds {names}; {convert}"
  )


def _teacher_config(directory: pathlib.Path) -> pathlib.Path:
  return directory / "teacher_config" / "config.json"
