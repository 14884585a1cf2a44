"""Commands that are processes of their own."""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.records import Record

FAILED = 1  # The status of a command that says what is wrong, and ends.


def run(command: Sequence[str], **options):
  """With options of `subprocess.run`; its failure ends this process, too."""
  if not succeeds(command, **options):
    sys.exit(FAILED)


def succeeds(command: Sequence[str], **options) -> bool:
  """Whether it did; any other end than by an error ends this process, too."""
  status = subprocess.run(command, check=False, **options).returncode
  if status not in (0, FAILED):
    sys.exit(status)
  return not status


def measured(name: str, arguments: Sequence[str], **options) -> list[Record]:
  """What `python -m benchmarks.NAME` finds."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    run([*command, f"--json={path}"], **options)
    return [Record(**record) for record in json.loads(path.read_text())]
