"""How arrays come off the disk, from either kind of store.

Each store is opened for one piece and gives a function that reads one leaf
into memory of its own. Nothing is mapped: what was verified cannot change any
more, and a file that is cut short later hurts nobody. Whoever reads must
verify: neither store notices a flipped bit.
"""

import contextlib
import pathlib
from collections.abc import Mapping

from pwl_jax.bundle import orbax_store, safetensors_store
from pwl_jax.bundle.memory import ReadLeaf
from pwl_jax.bundle.parts import Leaf


def opened(
  store: str, place: pathlib.Path, leaves: Mapping[str, Leaf]
) -> contextlib.AbstractContextManager[ReadLeaf]:
  """Of the piece at a place, which has these leaves."""
  kinds = {"orbax": orbax_store, "safetensors": safetensors_store}
  return kinds[store].opened(place, leaves)
