"""Trees of arrays on disk with Orbax, verified when they are read.

Orbax finds out about files that are cut short, but hands out flipped bits,
other shapes and cast dtypes without a word. So beside every tree lies what
each leaf was: its dtype, its shape and a digest of its bytes, taken before it
was written. Nothing is returned that does not match.
"""

import functools
import hashlib
import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from pwl_jax.training.distributed import all_agree
from pwl_jax.whole import write_whole

Leaves = dict[str, list[str]]  # path -> what it is, sha256 of its bytes


class Damaged(ValueError):
  """Files do not hold what was written."""


class Unfitting(ValueError):
  """Files hold the arrays of something else."""


def describe(tree: Any) -> dict[str, str]:
  """Path of each leaf -> dtype and shape; arrays or abstract ones."""
  return {
    jax.tree_util.keystr(path): f"{np.dtype(leaf.dtype)} {list(leaf.shape)}"
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def digests(tree: Any) -> Leaves:
  found = {}
  for (path, what), leaf in zip(
    describe(tree).items(), jax.tree.leaves(tree), strict=True
  ):
    array = np.ascontiguousarray(_local(leaf))
    digest = hashlib.sha256(array.view(np.uint8).data).hexdigest()
    found[path] = [what, digest]
  return found


def save_tree(path: pathlib.Path, tree: Any) -> Leaves:
  """Writes a tree whole or not at all, over an older one if there is one."""
  leaves = digests(tree)
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
    checkpointer.save(path.absolute(), args=to_save(tree, leaves), force=True)
  return leaves


def load_tree(path: pathlib.Path, abstract: Any) -> Any:
  """Reads a tree with the structure, dtypes and shardings of `abstract`."""
  if not path.exists():
    raise FileNotFoundError(f"{path} is missing")
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
    return load(
      lambda args: checkpointer.restore(path.absolute(), args=args),
      abstract,
      path,
    )


def saved(path: pathlib.Path) -> dict[str, Any]:
  """What lies there, as abstract arrays; not verified, as nothing is read."""
  if not path.exists():
    raise FileNotFoundError(f"{path} is missing")
  handler = ocp.StandardCheckpointHandler()
  found = _read(lambda: handler.metadata(path.absolute() / "tree").tree, path)
  return jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.dtype(leaf.dtype)), found
  )


def to_save(
  tree: Any, leaves: Leaves, notes: Mapping[str, Any] | None = None
) -> ocp.args.Composite:
  return ocp.args.Composite(
    tree=ocp.args.StandardSave(tree),
    leaves=ocp.args.JsonSave(leaves),
    notes=ocp.args.JsonSave(dict(notes or {})),
  )


def load(read: Callable, abstract: Any, where: pathlib.Path) -> Any:
  """Reads what `_to_save` wrote; all processes take it, or none."""
  try:
    tree, damage = _verified(read, abstract, where), None
  except Damaged as error:
    tree, damage = None, error
  if not all_agree(damage is None):
    raise damage or Damaged(f"another process cannot read {where}")
  return tree


def _verified(read: Callable, abstract: Any, where: pathlib.Path) -> Any:
  """First what it is, then the arrays, then whether they are the same."""
  args = ocp.args
  leaves = _read(
    lambda: read(args.Composite(leaves=args.JsonRestore())).leaves, where
  )
  wanted, found = describe(abstract), {k: v[0] for k, v in leaves.items()}
  if wanted != found:
    raise Unfitting(
      f"{where} holds the arrays of something else: "
      + _first_difference(found, wanted)
    )
  tree = _read(
    lambda: read(args.Composite(tree=args.StandardRestore(abstract))).tree,
    where,
  )
  same = digests(tree)
  wrong = sorted(name for name in leaves if same[name] != leaves[name])
  if wrong:
    raise Damaged(
      f"{len(wrong)} of {len(leaves)} arrays in {where} are not those that "
      f"were written, such as {wrong[0]}"
    )
  return tree


def _read(function: Callable, where: pathlib.Path) -> Any:
  """Orbax raises many kinds of errors for broken files.

  What lies elsewhere, a full memory or no permission, is none of them.
  """
  _ignore_closed_loops()  # Before: they complain from another thread.
  try:
    return function()
  except (MemoryError, PermissionError, TimeoutError, KeyboardInterrupt):
    raise
  except Exception as error:
    if "RESOURCE_EXHAUSTED" in str(error):
      raise
    reason = (str(error).splitlines() or [repr(error)])[0]
    reason = reason.split(" [", 1)[0].split(": <", 1)[0][:200]
    raise Damaged(f"{where} cannot be read: {reason}") from None


@functools.cache  # Once in a process.
def _ignore_closed_loops():
  """What Orbax still had under way where it failed complains much later."""
  earlier = sys.unraisablehook

  def hook(unraisable):
    if str(unraisable.exc_value) != "Event loop is closed":
      earlier(unraisable)

  sys.unraisablehook = hook


def _first_difference(found: dict[str, str], wanted: dict[str, str]) -> str:
  name = min(
    name
    for name in found.keys() | wanted.keys()
    if found.get(name) != wanted.get(name)
  )
  there, here = (d.get(name, "nothing") for d in (found, wanted))
  return f"{name} is {there} there, and {here} is wanted"


def write_json(path: pathlib.Path, value: Any):
  """Whole or not at all; only numbers that JSON has."""
  write_whole(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _local(leaf: Any) -> Any:
  """This process's copy of a replicated array."""
  return leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf
