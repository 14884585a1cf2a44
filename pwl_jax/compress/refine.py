"""A unit that was rounded, and the rest that makes it exact again.

  stored = encode(leaves, "int8")        # runs, and answers nearly as well
  rest = rest_of_unit(leaves, stored)    # is only read to
  leaves = joined(stored, rest, leaves)  # every bit as it was

All leaves that rounding changed are one long row to `exact`: what it says of
many weights at once takes fewer bytes than what it says of each leaf.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from pwl_jax.compress import exact
from pwl_jax.compress.leaves import decode


class Form(Protocol):
  """Of a leaf; arrays have one."""

  dtype: Any
  shape: tuple[int, ...]


def rest_of_unit(
  leaves: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """What `joined` needs beside what `leaves.encode` made; {} for nothing."""
  names = _changed(leaves, stored)
  if not names:
    return {}
  row = np.concatenate([np.ravel(leaves[name]) for name in names])
  return exact.rest_of(row, _coarse_row(leaves, stored, names))


def joined(
  stored: Mapping[str, np.ndarray],
  rest: Mapping[str, np.ndarray],
  forms: Mapping[str, Form],
) -> dict[str, np.ndarray]:
  """The leaves of these forms; what does not fit is a ValueError."""
  names = _changed(forms, stored)
  found = {name: stored[name] for name in forms if name not in names}
  if not names:
    return found
  row = _coarse_row(forms, stored, names)
  row, start = exact.join(row, rest, row.shape), 0
  for name in names:
    shape = tuple(forms[name].shape)
    end = start + math.prod(shape)
    found[name], start = row[start:end].reshape(shape), end
  return found


def _changed(
  forms: Mapping[str, Form], stored: Mapping[str, Form]
) -> list[str]:
  """The leaves that are stored in another form."""
  return [
    name
    for name, form in forms.items()
    if name not in stored or str(stored[name].dtype) != str(form.dtype)
  ]


def _coarse_row(
  forms: Mapping[str, Form], stored: Mapping[str, Any], names: list[str]
) -> np.ndarray:
  count = sum(math.prod(forms[name].shape) for name in names)
  row, start = np.empty(count, np.float32), 0
  for name in names:  # One by one: together they would take twice the memory.
    shape = tuple(forms[name].shape)
    end = start + math.prod(shape)
    row[start:end] = decode(stored, {name: shape})[name].reshape(-1)
    start = end
  return row
