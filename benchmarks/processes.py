"""Commands that are processes of their own."""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.records import Record


def run(command: Sequence[str], **options):
  """With options of `subprocess.run`; its failure ends this process, too."""
  status = subprocess.run(command, check=False, **options).returncode
  if status:
    sys.exit(status)


def measured(name: str, arguments: Sequence[str], **options) -> list[Record]:
  """What `python -m benchmarks.NAME` finds."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    run([*command, f"--json={path}"], **options)
    return [Record(**record) for record in json.loads(path.read_text())]
