"""All leaves of a unit in a precision, and as float32 again.

  stored = encode(leaves, "int8")
  leaves = decode(stored, {name: leaf.shape for name, leaf in leaves.items()})

Leaves are a flat dict by path, as in a bundle. Batch statistics stay float32
in every precision: compositions replace them by their own. In int8 and int4

  params/conv/kernel  becomes  params/conv/kernel/int8, params/conv/kernel/scale
  params/conv/bias    becomes  params/conv/bias/int8, params/conv/bias/scale

Where few numbers of a vector are as large as its largest, and in batch norms,
whose channels differ in size, vectors become float16, unless that loses more.

`decode` works in a traced program and on NumPy arrays, with the same bits.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from pwl_jax.compress import rounding
from pwl_jax.compress.rounding import PRECISIONS, Rounded, rows_of
from pwl_jax.method.checks import check_choice

PARAMS, STATISTICS = "params/", "batch_stats"
WHOLE = ("int8", "int4")  # Those of whole numbers, and what they end in.
SCALE = "scale"
NARROW = ("bfloat16", "float16")
# One scale does for a vector of which half are at least so much of the largest.
EVEN = 1 / 8
LEAST = 3  # Numbers: of fewer, a scale takes what whole numbers save.
# What float16 may change, of a number and of the largest in its leaf. Below
# 6e-5 its steps are all alike: harmless beside large numbers and not alone.
OF_EACH, OF_LARGEST = 2.0**-10, 2.0**-20


def encode(
  leaves: Mapping[str, np.ndarray],
  precision: str,
  *,
  scales: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
  """What is stored of these leaves.

  Args:
    leaves: by path, float32; what is none stays as it is.
    precision: one of `rounding.PRECISIONS`.
    scales: of int8 or int4, by the path of the leaf; others are chosen.
  """
  check_choice("precision", precision, PRECISIONS)
  scales = scales or {}
  unknown = [
    name
    for name in scales
    if name not in leaves or not is_scaled(name, leaves[name], precision)
  ]
  if unknown:
    raise ValueError(
      f"there are scales for {unknown[0]}, which has none in {precision}; give "
      "those of kernels, in int8 or int4"
    )
  found: dict[str, np.ndarray] = {}
  for name, leaf in leaves.items():
    given = scales.get(name)
    whole = not is_of_norm(name, leaves)
    try:
      found |= _stored(name, np.asarray(leaf), precision, given, whole)
    except ValueError as error:
      raise ValueError(f"{name}: {error}") from None
  return found


def decode(
  stored: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
  """The leaves again, up to rounding, with the shapes that they had."""
  return {name: _restored(name, stored, shapes[name]) for name in shapes}


def rounded(
  leaves: Mapping[str, np.ndarray],
  precision: str,
  *,
  scales: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
  """What is served of these leaves in a precision, bit by bit."""
  shapes = {name: np.shape(leaf) for name, leaf in leaves.items()}
  return decode(encode(leaves, precision, scales=scales), shapes)


def precision_of(dtypes: Mapping[str, str]) -> str:
  """The precision that stored leaves are in, from their names and dtypes.

  Of a unit without kernels int4 cannot be told from int8, and of one without
  parameters nothing is to be seen: "float32".
  """
  for precision in WHOLE[::-1]:  # In int4 there are vectors in int8.
    if any(name.endswith(f"/{precision}") for name in dtypes):
      return precision
  found = {dtype for name, dtype in dtypes.items() if name.startswith(PARAMS)}
  return "bfloat16" if "bfloat16" in found else "float32"


def is_scaled(name: str, leaf: Any, precision: str) -> bool:
  """Whether a leaf is stored in whole numbers, with scales by channel."""
  ours = name.startswith(PARAMS) and leaf.dtype == np.float32
  return ours and precision in WHOLE and has_scales(leaf.shape)


def has_scales(shape: tuple[int, ...]) -> bool:
  """Not what has one row: a scale per number would take more than it saves."""
  return len(shape) > 1 and rows_of(shape) > 1


def is_of_norm(name: str, leaves: Collection[str]) -> bool:
  """Whether a leaf belongs to a batch norm, by the statistics beside it."""
  path = name.removeprefix(PARAMS).rpartition("/")[0]
  return "/".join(filter(None, (STATISTICS, path, "mean"))) in leaves


def is_even(leaf: Any) -> Any:
  """Whether one scale does for all numbers of a vector; traced ones, too."""
  sizes = abs(leaf)
  large = (sizes >= EVEN * sizes.max(initial=0)).sum()
  return 2 * large >= leaf.size


def _stored(
  name: str, leaf: np.ndarray, precision: str, scales: Any, whole: bool
) -> dict[str, np.ndarray]:
  """`whole`: vectors may be in whole numbers, with one scale."""
  if is_scaled(name, leaf, precision):
    to = {"int8": rounding.to_int8, "int4": rounding.to_int4}[precision]
    return _with_scale(name, precision, to(leaf, scales=scales))
  others = not name.startswith(PARAMS) or leaf.dtype != np.float32
  if precision == "float32" or others:
    return {name: leaf}
  rounding.check_finite(leaf)
  if precision == "bfloat16":
    return {name: leaf.astype(rounding.bfloat16())}
  if whole and leaf.size >= LEAST and is_even(leaf):
    row = rounding.to_int8(leaf.reshape(-1, 1))
    row = row._replace(values=row.values.reshape(leaf.shape))
    return _with_scale(name, "int8", row)
  return {name: halved(leaf)}


def _with_scale(
  name: str, precision: str, whole: Rounded
) -> dict[str, np.ndarray]:
  return {f"{name}/{precision}": whole.values, f"{name}/{SCALE}": whole.scale}


def _restored(
  name: str, stored: Mapping[str, Any], shape: tuple[int, ...]
) -> Any:
  if name in stored:
    leaf = stored[name]
    return leaf.astype("float32") if str(leaf.dtype) in NARROW else leaf
  for precision in WHOLE:
    values, scale = (stored.get(f"{name}/{end}") for end in (precision, SCALE))
    if values is not None and scale is not None:
      whole = Rounded(values, scale)
      if precision == "int8":
        return rounding.from_int8(whole).reshape(shape)
      return rounding.from_int4(whole, shape)
  raise ValueError(
    f"of {name} nothing is stored that it can be made of; there are "
    f"{', '.join(stored)}"
  )


def halved(leaf: np.ndarray) -> np.ndarray:
  """As float16, where that loses next to nothing; else as it is."""
  with np.errstate(over="ignore"):
    half = leaf.astype(np.float16)
  sizes = abs(leaf)
  allowed = np.maximum(OF_EACH * sizes, OF_LARGEST * sizes.max(initial=0))
  lost = abs(half.astype(np.float32) - leaf)
  return half if (lost <= allowed).all() else leaf
