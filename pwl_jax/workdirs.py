"""A workdir belongs to one config, and to one run at a time."""

import contextlib
import fcntl
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from pwl_jax.training.checkpoints import write_json

CONFIG = "config.json"
# What may change between two runs: none of these changes a result.
FREE = (
  "stages",
  "parallel",
  "steps_per_call",
  "log_every",
  "evaluation_batch",
  "profile",
  "data.data_dir",
  "data.cache_dir",
  "data.workers",
)


def check_owner(workdir: pathlib.Path, fields: dict[str, Any]):
  """Raises where the workdir was made with other fields; writes nothing."""
  path = workdir / CONFIG
  if not path.exists():
    return
  found, given = json.loads(path.read_text()), _plain(fields)
  differing = [
    f"{name}: {found.get(name)!r} there, {given.get(name)!r} now"
    for name in sorted(found.keys() | given.keys())
    if name not in FREE and found.get(name) != given.get(name)
  ]
  if differing:
    raise ValueError(
      f"{workdir} belongs to another config; use another workdir, or change "
      "back\n  " + "\n  ".join(differing)
    )


@contextlib.contextmanager
def claimed(workdir: pathlib.Path, fields: dict[str, Any]) -> Iterator[None]:
  """Makes the workdir this config's, and keeps other runs out meanwhile."""
  workdir.mkdir(parents=True, exist_ok=True)
  with (workdir / "lock").open("w") as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
        f"another run is at work in {workdir}; wait for it, or use another "
        "workdir"
      ) from None
    except OSError:
      pass  # Some network file systems have no locks.
    if not (workdir / CONFIG).exists():
      write_json(workdir / CONFIG, _plain(fields))
    yield


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
  return json.loads(json.dumps(_flat(fields)))


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
  flat = {}
  for name, value in fields.items():
    if isinstance(value, dict):
      flat |= _flat(value, f"{prefix}{name}.")
    else:
      flat[prefix + name] = value
  return flat
