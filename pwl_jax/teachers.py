"""The two networks of a run, and the weights of a teacher that exists."""

import pathlib
from typing import Any, NamedTuple

import jax

from pwl_jax import models
from pwl_jax.bundle.parts import Input, SoundInput, TextInput
from pwl_jax.data.tokenizer_files import read_tokenizer, tokenizer_in
from pwl_jax.data.tokens import Tokenizer
from pwl_jax.interop import load_network, with_classes
from pwl_jax.method.network import Network
from pwl_jax.models.embedding import vocabulary
from pwl_jax.models.layers import Dtype
from pwl_jax.models.sync import with_sync_axis
from pwl_jax.training.artefacts import (
  digest,
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.parallel import Devices, sharding
from pwl_jax.training.step import AXIS


class Networks(NamedTuple):
  """Both, and what the teacher begins with."""

  teacher: Network
  student: Network
  start: Any  # Its first variables; None draws them.
  has_new_head: bool  # Beside what was loaded.
  digest: str  # Of what was loaded; "" where nothing was.


def make_networks(
  preset: str,
  *,
  teacher_path: str,
  num_classes: int,
  input: Input,
  dtype: Dtype,
  sync: bool,
  seed: int,
  devices: Devices,
) -> Networks:
  """Teacher and student, and what a teacher that exists begins with.

  Args:
    preset: whose student it is, and whose teacher unless there is a path.
    teacher_path: of a foreign checkpoint, or of a teacher stage of ours; with
      "" there are no first variables.
    num_classes: of both; another number than the checkpoint's makes a new
      head.
    input: of both; what the preset says of texts and sounds gives way to it.
    dtype: to compute in.
    sync: batch norms see the batch of all devices.
    seed: of a new head.
    devices: where the variables go.
  """
  size = dict(**_sizes(input), dtype=dtype)
  teacher, student = models.create_pair(preset, num_classes=num_classes, **size)
  start, has_new_head, loaded = None, False, ""
  if teacher_path:
    path = pathlib.Path(teacher_path)
    if is_complete(path):
      teacher, start = _one_of_ours(path, preset, devices, **size)
    elif is_complete(path / "teacher"):
      raise ValueError(
        f"{path} is a workdir; imported.path is that of its teacher, "
        f"{path / 'teacher'}"
      )
    else:
      teacher, start = load_network(
        path,
        num_units=student.num_units,
        input_shape=input.shape,
        dtype=dtype,
      )
      _check_kind(path, teacher, student)
      _check_tokens(path, teacher, student)
    loaded = digest(start)
    teacher, start, has_new_head = with_classes(
      teacher, start, num_classes, jax.random.key(seed)
    )
  axis = AXIS if sync else None
  teacher, student = (with_sync_axis(n, axis) for n in (teacher, student))
  return Networks(teacher, student, start, has_new_head, loaded)


def tokenizer_for(path: str, teacher_path: str) -> str:
  """That of a path, or else that which lies beside a teacher that exists.

  Of a foreign checkpoint it is in the same folder; a teacher of ours shares
  that of its workdir. "" where there is none.
  """
  if path:
    return read_tokenizer(path)
  if not teacher_path:
    return ""
  teacher = pathlib.Path(teacher_path)
  is_inside = is_complete(teacher) or teacher.is_file()
  return tokenizer_in(teacher.parent if is_inside else teacher)


def _sizes(input: Input) -> dict[str, Any]:
  """What a network has to know of its data."""
  sizes: dict[str, Any] = {"input_shape": input.shape}
  if isinstance(input, TextInput):
    sizes["vocab_size"] = Tokenizer(input.tokenizer, input.length).vocab_size
  if isinstance(input, SoundInput):
    sizes["sample_rate"] = input.sample_rate
  return sizes


def _check_kind(path: pathlib.Path, teacher: Network, student: Network):
  """Raises where a foreign teacher is fed something else than the data."""
  if teacher.input_dtype != student.input_dtype:
    told = [
      "texts" if network.input_dtype == "int32" else "no texts"
      for network in (teacher, student)
    ]
    raise ValueError(
      f"{path} is a network of {told[0]}, and the data are {told[1]}; use "
      "other data, or another teacher"
    )


def _check_tokens(path: pathlib.Path, teacher: Network, student: Network):
  known, needed = map(vocabulary, (teacher, student))
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


def _one_of_ours(
  path: pathlib.Path, preset: str, devices: Devices, **size
) -> tuple[Network, Any]:
  """The preset's teacher, as a teacher stage left it."""
  num_classes = load_result(path)["num_classes"]
  teacher = models.create(preset, "teacher", num_classes=num_classes, **size)
  shapes = {"teacher": teacher.abstract_variables()}
  found = load_variables(path, placed(shapes, sharding(devices)))
  return teacher, found["teacher"]
