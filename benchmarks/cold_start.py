"""How soon a bundle answers, and how soon all of it is there.

  python -m benchmarks.cold_start --preset=vit_small_tiny [--torch]

Fresh processes, from their start to the first answer: Python with jax alone,
the bundle's student, and with --torch what PyTorch users have: import torch
and transformers, `from_pretrained` of a network of the teacher's size, one
forward pass. And in a warm process: the bundle opened at the student, at the
whole teacher, and at the student and upgraded to the teacher while it answers
first. Cases are timed in turns; programs were compiled before and come from the
user's cache.
"""

import argparse
import functools
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import pwl_jax
from benchmarks import bundles
from benchmarks.records import Record, parser_of, tell
from benchmarks.timing import Seconds, explained, in_turns, summaries
from pwl_jax.bundle.reading import open_bundle

FIRST_ANSWER = """
import sys
import numpy as np
import pwl_jax
model = pwl_jax.open(sys.argv[1])
takes = model.manifest.input
model(np.zeros((1, *takes.shape), takes.dtype))
"""


def main(argv: list[str] | None = None) -> list[Record]:
  parser = parser_of("benchmarks.cold_start", __doc__)
  bundles.add_arguments(parser)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--torch", action="store_true")
  given = parser.parse_args(argv)
  with tempfile.TemporaryDirectory() as temporary:
    directory = given.dir or pathlib.Path(temporary) / "bundle"
    bundles.make_bundle(given.preset, directory, store=given.store)
    title = f"{given.preset}, {given.store}"
    fresh = in_fresh_processes(directory, given)
    warm = in_a_warm_process(directory, given.rounds)
  return tell(
    [
      compared(fresh, "bundle", f"first answer of a process: {title}"),
      compared(warm, "teacher", f"opened in a warm process: {title}"),
    ],
    given.json,
  )


def compared(found: Seconds, base: str, title: str) -> Record:
  rounds = len(found[base])
  return Record(title, summaries(found, base), [explained(base, rounds)])


def in_fresh_processes(
  directory: pathlib.Path, given: argparse.Namespace
) -> Seconds:
  cases = {
    "import jax": started("-c", "import jax"),
    "bundle": started("-c", FIRST_ANSWER, str(directory)),
  }
  with tempfile.TemporaryDirectory() as temporary:
    if given.torch:
      peer = ("-m", "benchmarks.peers.first_answer", temporary)
      takes = open_bundle(directory).manifest.input
      if takes.kind != "images":
        raise ValueError(
          f"--torch compares with a network of images, and {given.preset} "
          f"takes {takes.kind}; leave it out"
        )
      input_size = takes.image[0]
      started(*peer, "--make", f"--image_size={input_size}")()
      cases["pytorch"] = started(*peer)
    return in_turns(cases, rounds=given.rounds)


def in_a_warm_process(directory: pathlib.Path, rounds: int) -> Seconds:
  manifest = open_bundle(directory).manifest
  n, takes = manifest.num_units, manifest.input

  def opened(start: str, upgrade: bool = False):
    with pwl_jax.open(directory, start=start) as model:
      rest = model.upgrade() if upgrade else None
      model(np.zeros((1, *takes.shape), takes.dtype))
      if rest:
        rest.wait()

  cases = {
    "teacher": functools.partial(opened, "T" * n),
    "student": functools.partial(opened, "S" * n),
    "student, then all": functools.partial(opened, "S" * n, upgrade=True),
  }
  return in_turns(cases, rounds=rounds)


def started(*arguments: str):
  """Runs Python with these, to its end."""
  return functools.partial(
    subprocess.run,
    [sys.executable, *arguments],
    check=True,
    stdout=subprocess.DEVNULL,
  )


if __name__ == "__main__":
  main()
