"""The embedded set: 1,797 handwritten digits of 8x8 pixels.

From the UCI repository, CC BY 4.0; see digits.LICENSE.txt beside this file.
"""

import pathlib

import numpy as np

from pwl_jax.data.dataset import Dataset, Split, make_dataset

FILE = pathlib.Path(__file__).with_name("digits.npz")


def load_digits(*, valid_share: float = 0.1) -> Dataset:
  """The set has no test split of its own; a fifth is set aside."""
  with np.load(FILE, allow_pickle=False) as file:
    images, labels = file["images"], file["labels"]
  whole = Split(
    (images.astype(np.uint16) * 255 // 16).astype(np.uint8)[..., None],
    labels.astype(np.int32),
  )
  return make_dataset(
    "digits",
    whole,
    class_names=[str(i) for i in range(10)],
    valid_share=valid_share,
  )
