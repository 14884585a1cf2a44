"""What a complete job leaves in its directory.

`variables/` holds what it made, with a digest of every array; `result.json`,
written last, says that it is complete and what was reached.
"""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax

from pwl_jax.training import distributed
from pwl_jax.training.trees import (
  Damaged,
  Leaves,
  digests,
  load_tree,
  save_tree,
  saved,
  write_json,
)

RESULT, VARIABLES = "result.json", "variables"


def finish(
  directory: pathlib.Path, variables: dict, result: dict[str, Any]
) -> dict[str, Any]:
  """Writes what was made, and last of all that it is complete."""
  leaves = save_tree(directory / VARIABLES, variables)
  result = {**result, "digest": _digest_of(leaves)}
  if distributed.is_first():
    write_json(directory / RESULT, result)
  distributed.wait_for_all(f"{directory} is complete")
  return result


def digest(variables: Any) -> str:
  """Of all arrays and their names."""
  return _digest_of(digests(variables))


def _digest_of(leaves: Leaves) -> str:
  text = json.dumps(leaves, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def unfinish(directory: pathlib.Path):
  """What is there is about to be made anew, and complete no more."""
  (directory / RESULT).unlink(missing_ok=True)


def is_complete(directory: pathlib.Path) -> bool:
  return all((directory / part).exists() for part in (RESULT, VARIABLES))


def load_result(directory: pathlib.Path) -> dict[str, Any]:
  """What a complete job reached; one that is damaged is named."""
  path = directory / RESULT
  try:
    found = json.loads(path.read_text())
    if not isinstance(found.get("digest"), str):
      raise ValueError("it has no digest")
  except (ValueError, AttributeError) as error:
    raise Damaged(f"{path} is damaged ({error}); {_again(directory)}") from None
  return found


def load_variables(directory: pathlib.Path, abstract: Any) -> Any:
  """What a complete job made, verified."""
  with _naming(directory):
    return load_tree(directory / VARIABLES, abstract)


def saved_shapes(directory: pathlib.Path) -> dict[str, Any]:
  """What a complete job made, as abstract arrays."""
  with _naming(directory):
    return saved(directory / VARIABLES)


@contextlib.contextmanager
def _naming(directory: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except (FileNotFoundError, Damaged) as error:
    raise type(error)(f"{error}; {_again(directory)}") from None


def _again(directory: pathlib.Path) -> str:
  return f"move {directory} away, and run the stage {directory.name} again"


def placed(shapes: Any, sharding: jax.sharding.Sharding) -> Any:
  """Says of abstract arrays where they will lie."""
  return jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(
      leaf.shape, leaf.dtype, sharding=sharding
    ),
    shapes,
  )
