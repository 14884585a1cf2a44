"""What is asked about: test examples of the bundle's own data set, or noise.

Demonstrating must work on a machine that has the bundle and nothing else, so
a set that is not there is said, and noise takes its place.
"""

import textwrap
from typing import Any, NamedTuple

import numpy as np

from pwl_jax.bundle.inputs import Input, SoundInput, TextInput
from pwl_jax.bundle.manifest import Manifest
from pwl_jax.data import inputs
from pwl_jax.data.dataset import Dataset, Split
from pwl_jax.data.sources import load_dataset
from pwl_jax.play.stream import Raw

MOST = 2048  # Of a set that is decoded as it is needed.
NOISE = 256


class Examples(NamedTuple):
  """Examples as users have them, and what is right where that is known."""

  name: str
  raw: Raw  # Pixels, strings or samples; of noise, tokens for strings.
  labels: np.ndarray | None  # int[n]
  note: str  # What to know about them; "" if there is nothing.


def load(
  manifest: Manifest, *, data: str | None = None, data_dir: str | None = None
) -> Examples:
  """Test examples; noise where the set of the bundle is not to be had.

  Args:
    manifest: of the bundle; it names the set it was made of.
    data: another set, which has to be there.
    data_dir: where it lies.
  """
  config, kind = manifest.config, manifest.input.kind
  name = data or config.get("data.name")
  try:
    if not name:
      raise ValueError("the bundle names no data set; --data=NAME does")
    dataset = load_dataset(
      name,
      data_dir=data_dir or config.get("data.data_dir") or None,
      cache_dir=config.get("data.cache_dir") or None,
      valid_share=config.get("data.valid_share", 0.1),
      train_split=config.get("data.train_split", "train"),
      image_size=config.get("data.image_size", 0),
      stream=config.get("data.stream", "auto"),
      workers=0,
      **_lengths(manifest.input),
    )
    _check(name, manifest, dataset)
    raw, labels = _shuffled(dataset)
  except Exception as error:  # Data sets fail in many ways.
    if data or data_dir:
      raise ValueError(_in_one_line(error)) from error
    reason = _in_one_line(error)
    note = f"no test {kind} ({reason}); noise instead, without accuracy"
    return noise(manifest, note)
  expected = config.get("data.fingerprint")
  is_other = not data and expected not in (None, dataset.fingerprint)
  note = f"these are not the {kind} that the bundle was tested on"
  return Examples(name, raw, labels, note if is_other else "")


def noise(manifest: Manifest, note: str = "") -> Examples:
  return Examples("noise", inputs.noise(manifest.input, NOISE), None, note)


def _lengths(input: Input) -> dict[str, Any]:
  """What makes texts and sounds of a set those that the bundle takes."""
  if isinstance(input, TextInput):
    return dict(tokens=input.length, tokenizer=input.tokenizer)
  if isinstance(input, SoundInput):
    return dict(seconds=input.samples / input.sample_rate)
  return {}


def _shuffled(dataset: Dataset) -> tuple[Raw, np.ndarray]:
  """In memory, and not sorted by classes; texts as they were written."""
  test = dataset.test
  rows = np.random.default_rng(0).permutation(len(test))
  if dataset.test_texts:
    texts = dataset.test_texts
    return tuple(texts[row] for row in rows), test.labels[rows]
  if isinstance(test, Split):
    split = test.take(rows)
  else:
    split = test.take(np.sort(rows[:MOST])).sample(MOST)
  return split.inputs, split.labels


def _check(name: str, manifest: Manifest, dataset: Dataset):
  """Raises where the bundle does not take what the set has."""
  taken, found = manifest.input, dataset.input
  classes = len(manifest.class_names)
  advice = "give the --data it was made of"
  if found.kind != taken.kind:
    raise ValueError(
      f"{name} has {found.kind}, and the bundle takes {taken.kind}; {advice}"
    )
  if isinstance(taken, SoundInput) and found.sample_rate != taken.sample_rate:
    raise ValueError(
      f"{name} has {found.sample_rate:,} samples a second, and the bundle "
      f"takes {taken.sample_rate:,}; {advice}"
    )
  forms = [
    f"{np.dtype(dtype)}{list(shape)}"
    for dtype, shape in (
      (dataset.test.input_dtype, dataset.test.input_shape),
      (taken.dtype, taken.shape),
    )
  ]
  if forms[0] != forms[1]:
    raise ValueError(
      f"the {taken.kind} of {name} are {forms[0]}, and the bundle takes "
      f"{forms[1]}; {advice}"
    )
  if classes and dataset.num_classes != classes:
    raise ValueError(
      f"{name} has {dataset.num_classes} classes, and the bundle {classes}; "
      f"{advice}"
    )


def _in_one_line(error: Exception) -> str:
  text = str(error) or type(error).__name__
  return textwrap.shorten(text, 200, placeholder=" ...")
