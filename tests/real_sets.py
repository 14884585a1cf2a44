"""Where sets that people use lie, for the tests that look at some of them."""

import pathlib

import pytest

# Beside the checkout, prepared with `python -m pwl_jax.data.prepare`.
WHERE = pathlib.Path(__file__).parents[2] / "shared" / "tfds"


def needs(name):
  """For tests of one that is not in the repository."""
  place = WHERE / name
  return pytest.mark.skipif(
    not place.exists(), reason=f"needs the real data in {place}"
  )
