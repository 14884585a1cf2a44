"""Sets from a file of arrays, and sets of noise for benchmarks."""

import pathlib
import zipfile

import numpy as np

from pwl_jax.data.dataset import Dataset, Split, make_dataset

ADVICE = "save it with numpy.savez(path, x=images, y=labels)"


def load_arrays(
  path: str | pathlib.Path, *, valid_share: float = 0.1
) -> Dataset:
  """An `.npz` with `x`, uint8 [n, h, w, c] or [n, h, w], and `y`, int[n].

  A file that also has `x_test` and `y_test` is reported on those; otherwise a
  fifth of the examples, always the same, is set aside for it.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"{path} is no file; give the path of an .npz")
  arrays = _read(path)
  needed = {"x", "y"}
  if arrays.keys() & {"x_test", "y_test"}:
    needed |= {"x_test", "y_test"}
  if missing := needed - arrays.keys():
    raise ValueError(
      f"{path} lacks {sorted(missing)}, it has {sorted(arrays)}; {ADVICE}, "
      "with x_test and y_test for a test split"
    )
  test = None
  if "x_test" in arrays:
    test = _split(path, arrays["x_test"], arrays["y_test"])
  return make_dataset(
    path.stem,
    _split(path, arrays["x"], arrays["y"]),
    test,
    valid_share=valid_share,
  )


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
    f"images and labels; {ADVICE}"
  )


def _split(path: pathlib.Path, images: np.ndarray, labels: np.ndarray) -> Split:
  if images.ndim == 3:
    images = images[..., None]
  if np.issubdtype(labels.dtype, np.integer):
    narrow = labels.astype(np.int32)
    if (narrow != labels).any():
      raise ValueError(
        f"{path}: labels go from {labels.min()} to {labels.max()}, which is "
        "more than 32 bits hold; number the classes from 0"
      )
    labels = narrow
  return Split(images, labels)


def make_synthetic(spec: str = "", *, valid_share: float = 0.1) -> Dataset:
  """Noise of "NxHxWxC/K": N images, K classes; "1024x32x32x3/10" by default."""
  spec = spec or "1024x32x32x3/10"
  try:
    sizes, classes = spec.split("/")
    n, h, w, c = map(int, sizes.split("x"))
    num_classes = int(classes)
    if min(n, h, w, c, num_classes) < 1:
      raise ValueError
  except ValueError:
    raise ValueError(
      f"synthetic data of {spec!r}: write NxHxWxC/K, images, height, width, "
      "channels and classes, each at least 1, such as 1024x32x32x3/10"
    ) from None
  rng = np.random.default_rng(0)

  def draw(count):
    images = rng.integers(0, 256, (count, h, w, c), np.uint8)
    return Split(images, rng.integers(0, num_classes, count, np.int32))

  return make_dataset(
    "synthetic",
    draw(n),
    draw(max(1, n // 4)),
    class_names=[str(i) for i in range(num_classes)],
    valid_share=valid_share,
  )
