"""One show: what comes before it, the show itself, and what is written."""

import contextlib
import sys
from collections.abc import Iterator

from pwl_jax.bundle.manifest import read
from pwl_jax.play import (
  alone,
  caches,
  conclusion,
  examples,
  flags,
  screen,
  writing,
)
from pwl_jax.play.examples import Examples
from pwl_jax.play.flags import Asked
from pwl_jax.play.interrupts import Interrupts
from pwl_jax.play.session import Session
from pwl_jax.runtime.errors import RuntimeFailure


def play(asked: Asked, interrupts: Interrupts) -> int:
  """Returns the exit code."""
  manifest = read(asked.bundle)
  flags.check_budget(asked.budget, manifest)
  out = writing.place(asked.bundle, asked.out)
  _note(f"reading the {manifest.input.kind} to ask about ...")
  found = examples.load(manifest, data=asked.data, data_dir=asked.data_dir)
  if found.note:
    _note(found.note)
  plainly = _before(asked)
  with _opened(asked, found) as session:
    interrupts.only_note()
    with screen.shown(str(asked.bundle), plainly) as show:
      recorded = session.run(
        asked.seconds, show, is_ended=lambda: interrupts.came
      )
    timeline = writing.describe(
      recorded,
      bundle=asked.bundle,
      manifest=manifest,
      data=found.name,
      batch=asked.batch,
      threads=asked.threads,
      policy=asked.policy,
      budget=asked.budget,
      bandwidth=asked.bandwidth,
      requests_per_second=asked.requests,
      cold=asked.cold,
      alone=plainly,
    )
    written = writing.write(timeline, out)
  conclusion.say(timeline, recorded)
  for path in written:
    print(path)
  if len(written) == 1:
    _note("no picture: nothing was answered, or it is not known how well")
  if asked.out is None and out.name == writing.REPORT:
    print(f"python -m pwl_jax.report {out.parent} takes it into the report")
  if recorded.interrupted:
    return interrupts.exit_code
  return 1 if recorded.error or recorded.failures else 0


def _before(asked: Asked) -> float | None:
  """Rehearses, and measures the teacher alone; a failure is said, no more."""
  bundle, batch = asked.bundle.absolute(), asked.batch
  try:
    if not asked.cold:
      _note("rehearsing, so that nothing is compiled for the first time ...")
      alone.rehearse(bundle, batch=batch, policy=asked.policy)
    if not asked.no_comparison:
      _note("loading the teacher plainly, to compare with ...")
      return alone.measure(
        bundle, bandwidth=asked.bandwidth, batch=batch, cold=asked.cold
      )
  except ChildProcessError as error:
    _note(f"that failed: {error}")
  return None


@contextlib.contextmanager
def _opened(asked: Asked, found: Examples) -> Iterator[Session]:
  """The session, which is closed afterwards."""
  empty = caches.empty(asked.bundle)
  with empty if asked.cold else contextlib.nullcontext() as folder:
    try:
      session = Session(
        asked.bundle,
        found,
        bandwidth=asked.bandwidth,
        per_second=asked.requests,
        batch=asked.batch,
        threads=asked.threads,
        budget=asked.budget,
        policy=asked.policy,
        cache_dir=folder,
      )
    except RuntimeFailure as error:
      raise ValueError(str(error)) from error
    with contextlib.closing(session):
      yield session


def _note(text: str):
  print(text, file=sys.stderr, flush=True)
