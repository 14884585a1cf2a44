"""A unit that was rounded, and the rest that makes it exact again.

  stored = encode(leaves, "int8")        # runs, and answers nearly as well
  rest = rest_of_unit(leaves, stored)    # is only read to
  leaves = joined(stored, rest, leaves)  # every bit as it was

All leaves that rounding changed are one long row to `exact`: what it says of
many weights at once takes fewer bytes than what it says of each leaf.
"""

from collections.abc import Callable, Mapping
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
  coarse = decode(stored, {name: leaves[name].shape for name in names})
  return exact.rest_of(
    *(
      np.concatenate([np.ravel(of[name]) for name in names])
      for of in (leaves, coarse)
    )
  )


def joined(
  stored: Mapping[str, np.ndarray],
  rest: Mapping[str, np.ndarray],
  forms: Mapping[str, Form],
) -> dict[str, np.ndarray]:
  """The leaves of these forms; what does not fit is a ValueError."""
  out = {name: np.empty(form.shape, form.dtype) for name, form in forms.items()}
  join_into(out, stored, rest)
  return out


def join_into(
  out: Mapping[str, np.ndarray],
  stored: Mapping[str, np.ndarray],
  rest: Mapping[str, np.ndarray],
  between: Callable[[], Any] = lambda: None,
):
  """The same, in memory that is there; `between` may raise, to give up."""
  names = _changed(out, stored)
  for name, array in out.items():
    if name not in names:
      _check_shape(name, stored[name], array)
      array[...] = stored[name]
  for name in names:  # One by one, and then in place: memory for one unit.
    between()
    shape = out[name].shape
    coarse = decode(stored, {name: shape})[name]
    _check_shape(name, coarse, out[name])
    out[name][...] = coarse
  if names:
    exact.join_in_place(
      [out[name].reshape(-1) for name in names], rest, between
    )


def _check_shape(name: str, found: Any, wanted: np.ndarray):
  if np.shape(found) != wanted.shape:
    raise ValueError(
      f"{name} has the shape {list(np.shape(found))}, not {list(wanted.shape)}"
    )


def _changed(
  forms: Mapping[str, Form], stored: Mapping[str, Form]
) -> list[str]:
  """The leaves that are stored in another form, in the order of `exact`."""
  return [
    name
    for name, form in sorted(forms.items())
    if name not in stored or str(stored[name].dtype) != str(form.dtype)
  ]
