"""What arrays of examples and labels must be; complaints name the split."""

import numpy as np

from pwl_jax.bundle.inputs import ImageInput, Input


def check_arrays(
  where: str, inputs: np.ndarray, labels: np.ndarray, input: Input
):
  """Raises unless these are inputs of this kind, and a label for each."""
  if isinstance(input, ImageInput):
    _check_images(where, inputs)
  elif (inputs.dtype, inputs.shape[1:]) != (input.dtype, input.shape):
    raise ValueError(
      f"{where}: {input.kind} must be {input.dtype} {['n', *input.shape]}, "
      f"got {inputs.dtype} {list(inputs.shape)}"
    )
  _check_label_array(where, input.kind, len(inputs), labels)


def _check_images(where: str, images: np.ndarray):
  if images.ndim != 4 or images.dtype != np.uint8:
    advice = ""
    if np.issubdtype(images.dtype, np.floating):
      advice = (
        "; pixels from 0 to 1 become so with "
        "(255 * images).round().astype(numpy.uint8)"
      )
    raise ValueError(
      f"{where}: images must be uint8 [n, height, width, channels], got "
      f"{images.dtype} {list(images.shape)}{advice}"
    )
  if not all(images.shape[1:]):
    raise ValueError(
      f"{where}: images of {list(images.shape[1:])} have no pixels"
    )


def _check_label_array(where: str, kind: str, count: int, labels: np.ndarray):
  if labels.shape != (count,):
    raise ValueError(
      f"{where}: {count} {kind} need as many labels, got labels of shape "
      f"{list(labels.shape)}"
    )
  if not np.issubdtype(labels.dtype, np.integer):
    raise ValueError(
      f"{where}: labels must be whole numbers, got {labels.dtype}"
    )


def check_labels(where: str, labels: np.ndarray, num_classes: int):
  """Raises unless they are numbers of classes."""
  low, high = int(labels.min()), int(labels.max())
  if low < 0 or high >= num_classes:
    raise ValueError(
      f"{where}: {label_range(low, high, num_classes)}"
      + ("; this split hides its labels" if high < 0 else "")
    )


def label_range(low: int, high: int, num_classes: int) -> str:
  """Of a complaint: what labels are, and what they may be."""
  return (
    f"labels go from {low} to {high}, but {num_classes} classes allow 0 to "
    f"{num_classes - 1}; classes are numbered from 0"
  )
