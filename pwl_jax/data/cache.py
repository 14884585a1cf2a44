"""Arrays that are made once, kept as `.npy` files and mapped from there."""

import os
import pathlib
import secrets
import warnings
from collections.abc import Callable, Mapping

import numpy as np

Form = tuple[tuple[int, ...], type]  # Shape and dtype.


def load_or_make(
  folder: pathlib.Path,
  forms: Mapping[str, Form],
  make: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """The arrays by name; made anew if any is missing, damaged or closed to us.

  Data that others own can still be used: what cannot be kept is only told.
  """
  found = _load_all(folder, forms)
  if found is not None:
    return found
  made = dict(make())
  try:
    for name, array in made.items():
      _save(folder / name, array)
  except OSError as error:
    warnings.warn(
      f"decoded images could not be kept in {folder} ({error}), so every run "
      "decodes them again; name a folder that can be written as "
      "config.data.cache_dir",
      stacklevel=2,
    )
    return made
  return _load_all(folder, forms) or made


def _load_all(
  folder: pathlib.Path, forms: Mapping[str, Form]
) -> dict[str, np.ndarray] | None:
  arrays = {}
  for name, (shape, dtype) in forms.items():
    try:
      array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
      return None
    if array.shape != tuple(shape) or array.dtype != dtype:
      return None
    arrays[name] = array
  return arrays


def _save(path: pathlib.Path, array: np.ndarray):
  """All of the file or none of it, readable as the umask says."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
  try:
    with open(temporary, "xb") as file:
      np.save(file, array, allow_pickle=False)
    os.replace(temporary, path)
  except BaseException:  # Being interrupted included.
    temporary.unlink(missing_ok=True)
    raise
