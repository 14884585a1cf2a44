"""Sets in one .npz file: x and labels y, and x_test and y_test or not."""

import pathlib
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pwl_jax.data.examples import Labelled

ADVICE = (
  "save it with numpy.savez(path, x=images, y=labels), with "
  "x=numpy.array(texts) of a list of str, or with x=sounds, int16 "
  "[n, samples], and sample_rate=8000"
)


class Npz(NamedTuple):
  """What a file has; labels are int32 where they are whole numbers at all."""

  path: pathlib.Path
  train: Labelled
  test: Labelled | None
  others: Mapping[str, np.ndarray]

  @property
  def kind(self) -> str:
    """What the examples are: "images", "texts" or "sounds"."""
    x = self.train.examples
    if x.dtype.kind in "US":
      return "texts"
    is_sound = x.ndim == 2 or "sample_rate" in self.others
    return "sounds" if is_sound else "images"


def read_npz(path: str | pathlib.Path) -> Npz:
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"{path} is no file; give the path of an .npz")
  arrays = _read(path)
  names = [("x", "y")]
  if arrays.keys() & {"x_test", "y_test"}:
    names.append(("x_test", "y_test"))
  if missing := {name for pair in names for name in pair} - arrays.keys():
    raise ValueError(
      f"{path} lacks {sorted(missing)}, it has {sorted(arrays)}; {ADVICE}, "
      "with x_test and y_test for a test split"
    )
  parts = [_labelled(path, arrays.pop(x), arrays.pop(y)) for x, y in names]
  return Npz(path, parts[0], parts[1] if parts[1:] else None, arrays)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with open(path, "rb") as stream:
      file = np.load(stream, allow_pickle=False)
      if not isinstance(file, np.ndarray):
        return {name: file[name] for name in file.files}
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path} cannot be read as an .npz ({error}); {ADVICE}"
    ) from error
  raise ValueError(
    f"{path} holds a single array of shape {list(file.shape)}, but a set has "
    f"examples and labels; {ADVICE}"
  )


def _labelled(path: pathlib.Path, x: np.ndarray, y: np.ndarray) -> Labelled:
  if x.ndim and y.shape != (len(x),):
    raise ValueError(
      f"{path}: {len(x)} examples need as many labels, got labels of shape "
      f"{list(y.shape)}"
    )
  return Labelled(x, _narrow(path, y))


def _narrow(path: pathlib.Path, labels: np.ndarray) -> np.ndarray:
  if not np.issubdtype(labels.dtype, np.integer):
    return labels  # The set they are for says what is wrong.
  narrow = labels.astype(np.int32)
  if (narrow != labels).any():
    raise ValueError(
      f"{path}: labels go from {labels.min()} to {labels.max()}, which is "
      "more than 32 bits hold; number the classes from 0"
    )
  return narrow
