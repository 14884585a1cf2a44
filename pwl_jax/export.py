"""Writes another bundle of a finished run, in fewer bits.

  python -m pwl_jax.export --workdir=runs/digits --student=int8 --teacher=int8
  python -m pwl_jax.export --workdir=runs/digits --teacher=int8,int8,float32
  python -m pwl_jax.export --workdir=runs/digits --teacher=int8+float32

A precision is float32, bfloat16, int8 or int4: one for all units of a network,
or one for each; by default what the student was distilled for, and a teacher of
float32. In two of them, as in the last line, the teacher comes coarse first and
is made exact later. What the rounded networks answer is measured, on held-out
and on test examples, and goes into the bundle.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from pwl_jax import stages
from pwl_jax.bundle.parts import STORES
from pwl_jax.config import default_config
from pwl_jax.training.interruption import EXIT_CODE, Interrupted

# Beside the config's fields.
FOUND = (
  "data.fingerprint",
  *(
    f"{section}.{name}"
    for section in ("imported", "started")
    for name in ("digest", "network", "narrowed")
  ),
)


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit code."""
  options = _parser().parse_args(arguments)
  try:
    config = read_config(options.workdir / "config.json")
    config.stages = "export"
    student = options.student or config.student_precision
    config.export.update(
      student=student,
      teacher=options.teacher,
      fit_examples=options.fit_examples,
      directory=str(options.out or _place(options, student)),
    )
    if options.format:
      config.export.format = options.format
    stages.run(config, options.workdir)
  except Interrupted as error:
    print(f"stopped by {error}; the same command continues", file=sys.stderr)
    return EXIT_CODE
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.export",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "--workdir", type=pathlib.Path, required=True, help="of a finished run"
  )
  for network, default, meaning in (
    ("student", "", "what it was distilled for"),
    ("teacher", "float32", "float32"),
  ):
    parser.add_argument(
      f"--{network}",
      default=default,
      metavar="PRECISION",
      help=f"of the {network}'s units (default: {meaning})",
    )
  parser.add_argument(
    "--fit_examples",
    type=int,
    default=0,
    metavar="N",
    help="training examples to choose the scales of int8 and int4 on, such as "
    "256 (default: 0, which rounds every kernel by itself)",
  )
  parser.add_argument(
    "--out",
    type=pathlib.Path,
    metavar="DIR",
    help="the bundle; by default WORKDIR/bundle-STUDENT-TEACHER",
  )
  parser.add_argument(
    "--format", choices=STORES, help="as the run's by default"
  )
  return parser


def _place(options: argparse.Namespace, student: str) -> pathlib.Path:
  """The run's own bundle stays beside it."""
  named = f"bundle-{student}-{options.teacher}"
  return options.workdir / named.replace(",", "_").replace(" ", "")


def read_config(path: pathlib.Path) -> ConfigDict:
  """The config that a run was given last."""
  if not path.is_file():
    raise FileNotFoundError(
      f"{path} is missing; give the --workdir of a run that is finished"
    )
  config = default_config()
  try:
    fields: dict[str, Any] = json.loads(path.read_text())
    for name, value in fields.items():
      if name not in FOUND:
        _set(config, name, value)
  except (ValueError, KeyError, AttributeError, TypeError) as error:
    raise ValueError(
      f"{path} is no config of this pwl_jax ({error}); run the same command "
      "as before, which writes it again"
    ) from error
  return config


def _set(config: ConfigDict, name: str, value: Any):
  *sections, last = name.split(".")
  for section in sections:
    config = config[section]
  config[last] = tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
  sys.exit(main())
