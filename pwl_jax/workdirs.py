"""Who owns what in a workdir: a stage its config, a run the workdir.

A stage keeps the fields that it reads beside what it makes, so that another
config is noticed, and one that differs elsewhere may use what is there.
"""

import contextlib
import fcntl
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from pwl_jax.training.trees import write_json

CONFIG = "config.json"
NOTES = {"data.fingerprint": " (of the examples, or of what made tokens)"}
TEACHER = "teacher.digest"  # Which teacher a student learned from.
# What every stage reads, by field or by section.
COMMON = (
  "seed",
  "evaluate_every",
  "data.",
  "augment.",
  "model.preset",
  "model.dtype",
  "model.sync_batch_norm",
)
# Where things lie on this machine, which says nothing on another one.
PATHS = (
  "data.data_dir",
  "data.cache_dir",
  "data.tokenizer",
  "imported.path",
  "started.path",
  "export.directory",
)
# Where things lie and how many hands work, which may change from run to run;
# what lies there has a fingerprint of its own.
FREE = (*PATHS, "data.workers")
# Fields that came later, with what older stages were made with: where they say
# the same they are left out.
LATER = {
  "student_precision": "float32",
  "objective.cross_alpha": 0.0,
  "objective.others_weight": 0.0,
  "imported.network": "teacher",
  "started.network": "student",
  "started.digest": "",
  **{
    f"{section}.{name}": value
    for section in ("imported", "started")
    for name, value in (
      ("prune_channels", 0.0),
      ("prune_weights", 0.0),
      ("narrowed", []),
    )
  },
}


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Nested fields by their dotted names, as JSON would give them back."""
  found = {}
  for name, value in fields.items():
    if isinstance(value, Mapping):
      found |= flat(value, f"{prefix}{name}.")
    else:
      found[prefix + name] = value
  return json.loads(json.dumps(found))


def read_by(reads: tuple[str, ...], fields: Mapping[str, Any]) -> dict:
  """Those of the flat fields that a stage reads."""
  return {
    name: value
    for name, value in fields.items()
    if name not in FREE
    and not _as_before(name, value)
    and any(
      name == part or (part.endswith(".") and name.startswith(part))
      for part in (*COMMON, *reads)
    )
  }


def _as_before(name: str, value: Any) -> bool:
  """Whether a field says what was so before there was one."""
  return name in LATER and value == LATER[name]


def check_owner(directory: pathlib.Path, fields: Mapping[str, Any]):
  """Raises where a stage was begun with other fields; writes nothing.

  The teacher's digest is left out where it is not known yet.
  """
  found = _read(directory)
  if found is None:
    return
  found = {n: v for n, v in found.items() if not _as_before(n, v)}
  differing = [
    f"{name}{NOTES.get(name, '')}: {_told(found, name)} there, "
    f"{_told(fields, name)} now"
    for name in sorted(found.keys() | fields.keys())
    if found.get(name) != fields.get(name)
    and not (name == TEACHER and name not in fields)
  ]
  if differing:
    raise ValueError(
      f"{directory} belongs to another config; use another workdir, or change "
      "back\n  " + "\n  ".join(differing)
    )


def _told(fields: Mapping[str, Any], name: str) -> str:
  return repr(fields.get(name, LATER.get(name)))


def agrees(
  directory: pathlib.Path, name: str, fields: Mapping[str, Any]
) -> bool:
  """Whether a stage was made with this value; true where there is none."""
  found = _read(directory) or {}
  return name not in fields or found.get(name) == fields[name]


def fields_of(directory: pathlib.Path) -> dict[str, Any]:
  """Those that a stage was made with, but for such as are in `LATER`."""
  return _read(directory) or {}


def _read(directory: pathlib.Path) -> dict[str, Any] | None:
  path = directory / CONFIG
  if not path.exists():
    return None
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(
      f"{path} is damaged ({error}); move {directory} away to begin this "
      "stage anew"
    ) from error


def own(directory: pathlib.Path, fields: Mapping[str, Any]):
  """Makes the directory of a stage this config's."""
  check_owner(directory, fields)
  if not (directory / CONFIG).exists():
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / CONFIG, fields)


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
  """Makes the workdir, and keeps other runs out of it meanwhile."""
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
    yield
