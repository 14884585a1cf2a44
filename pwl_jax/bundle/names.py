"""Leaves by name, and the trees that the names are paths of."""

from collections.abc import Mapping
from typing import Any


def flat(tree: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
  """{"params": {"a": x}} -> {"params/a": x}."""
  if not isinstance(tree, Mapping):
    return {"/".join(path): tree}
  found = {}
  for name, inner in tree.items():
    found |= flat(inner, (*path, name))
  return found


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
  """The inverse of `flat`."""
  found: dict[str, Any] = {}
  for name, leaf in leaves.items():
    *path, last = name.split("/")
    place = found
    for part in path:
      place = place.setdefault(part, {})
    place[last] = leaf
  return found
