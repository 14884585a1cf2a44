"""Serves a stream of test images while the bundle is upgraded, and shows it.

  python -m pwl_jax.play --bundle=runs/digits/bundle --bandwidth=200kB/s

It writes what happened as play.json and play.png: how long the first answer
took, how good the answers were by when, and how long the teacher alone would
have taken. The report of the run takes them in.
"""

import argparse
import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from pwl_jax.play import quantities
from pwl_jax.runtime.routes import POLICIES

XLA_CACHE = "jax_enable_compilation_cache"
INTERRUPTED = 130  # What shells expect of a Ctrl-C.


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit code."""
  options = _parser().parse_args(arguments)
  try:
    return _play(options)
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
  except KeyboardInterrupt:
    print("ended before anything was recorded", file=sys.stderr)
    return INTERRUPTED
  return 1


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.play",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--bundle", type=pathlib.Path, required=True, metavar="DIR")
  add("--bandwidth", help="of a slow storage to simulate, such as 20MB/s")
  add("--requests", default="200/s", help="that are due (default: 200/s)")
  add("--batch", type=int, default=1, help="images of a request (default: 1)")
  add("--threads", type=int, default=2, help="that ask (default: 2)")
  add("--policy", choices=POLICIES, default="better", help="of the upgrade")
  add("--budget", help="of memory for the weights, such as 50MB")
  add(
    "--seconds",
    type=float,
    default=2.0,
    help="to go on after the upgrade (default: 2)",
  )
  add("--data", metavar="NAME", help="a data set; the bundle's by default")
  add("--data_dir", metavar="DIR", help="where it lies")
  add("--out", type=pathlib.Path, metavar="DIR", help="where to write")
  add(
    "--cold",
    action="store_true",
    help="compile everything anew; otherwise all is rehearsed before",
  )
  add(
    "--no_comparison",
    action="store_true",
    help="do not load the teacher plainly before, to compare with",
  )
  return parser


def _play(options: argparse.Namespace) -> int:
  rates = _rates(options)
  from pwl_jax.bundle.manifest import read
  from pwl_jax.play import examples, writing

  manifest = read(options.bundle)
  out = writing.place(options.bundle, options.out)
  found = examples.load(manifest, data=options.data, data_dir=options.data_dir)
  if found.note:
    _note(found.note)
  alone = _before(options, rates["bandwidth"])
  recorded = _perform(options, rates, found, alone)
  timeline = writing.describe(
    recorded,
    bundle=options.bundle,
    manifest=manifest,
    data=found.name,
    batch=options.batch,
    threads=options.threads,
    policy=options.policy,
    budget=rates["budget"],
    bandwidth=rates["bandwidth"],
    requests_per_second=rates["requests"],
    cold=options.cold,
    alone=alone,
  )
  _conclude(timeline, recorded)
  written = writing.write(timeline, out)
  for path in written:
    print(path)
  if len(written) == 1:
    _note("no picture: nothing was answered, or it is not known how well")
  if options.out is None and out.name == writing.REPORT:
    print(f"python -m pwl_jax.report {out.parent} takes it into the report")
  if recorded.interrupted:
    return INTERRUPTED
  return 1 if recorded.error or recorded.failures else 0


def _rates(options: argparse.Namespace) -> dict[str, float | int | None]:
  """What was asked for, in numbers; raises where it makes no sense."""
  for name in ("batch", "threads"):
    if getattr(options, name) < 1:
      raise ValueError(f"--{name} is {getattr(options, name)}; give at least 1")
  if not 0 <= options.seconds <= 86400:
    raise ValueError(f"--seconds is {options.seconds}; give 0 to 86400")
  given, budget = options.bandwidth, options.budget
  return {
    "requests": quantities.per_second("--requests", options.requests),
    "bandwidth": given and quantities.bytes_per_second("--bandwidth", given),
    "budget": budget and quantities.nbytes("--budget", budget),
  }


def _before(
  options: argparse.Namespace, bandwidth: float | None
) -> float | None:
  """Rehearses, and measures the teacher alone; a failure is said, no more."""
  from pwl_jax.play import alone

  try:
    if not options.cold:
      _note("rehearsing, so that nothing is compiled for the first time ...")
      alone.rehearse(
        options.bundle.absolute(), batch=options.batch, policy=options.policy
      )
    if not options.no_comparison:
      _note("loading the teacher plainly, to compare with ...")
      return alone.measure(
        options.bundle.absolute(),
        bandwidth=bandwidth,
        batch=options.batch,
        cold=options.cold,
      )
  except ChildProcessError as error:
    _note(f"that failed: {error}")
  return None


def _perform(options, rates, examples, alone: float | None):
  import jax

  from pwl_jax.play import alone as caches
  from pwl_jax.play import screen
  from pwl_jax.play.session import Session
  from pwl_jax.runtime.errors import RuntimeFailure

  with contextlib.ExitStack() as stack:
    folder = None
    if options.cold:
      caches.forget(options.bundle)
      folder = stack.enter_context(tempfile.TemporaryDirectory())
      before = jax.config.jax_enable_compilation_cache
      stack.callback(jax.config.update, XLA_CACHE, before)
      jax.config.update(XLA_CACHE, False)
    try:
      session = Session(
        options.bundle,
        examples,
        bandwidth=rates["bandwidth"],
        per_second=rates["requests"],
        batch=options.batch,
        threads=options.threads,
        budget=rates["budget"],
        policy=options.policy,
        cache_dir=folder,
      )
    except RuntimeFailure as error:
      raise ValueError(str(error)) from error
    stack.callback(session.close)
    with screen.shown(str(options.bundle), alone) as show:
      return session.run(options.seconds, show)


def _conclude(timeline, recorded):
  from rich.console import Console

  from pwl_jax.play import screen
  from pwl_jax.report import served

  console = Console(highlight=False)
  console.print(screen.conclusion(timeline))
  for line in served.sentences(timeline):
    console.print(line, soft_wrap=True, markup=False)
  if recorded.interrupted:
    _note("interrupted; what was recorded until then is written")
  if recorded.error:
    _note(f"the upgrade ended early: {recorded.error}")
  if recorded.failures:
    _note(f"{len(recorded.failures)} failed, such as {recorded.failures[0]}")


def _note(text: str):
  print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
  sys.exit(main())
