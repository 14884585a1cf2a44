"""A trace of some steps, to be looked at in TensorBoard or Perfetto."""

import contextlib
import itertools
import pathlib
from collections.abc import Callable, Iterator

import jax

WARM = 3  # Dispatches before it: the first compile, and are no example.


@contextlib.contextmanager
def profiling(
  step_at: Callable,
  directory: pathlib.Path,
  dispatches: int,
  say: Callable[[str], None],
) -> Iterator[Callable]:
  """Gives `step_at` again, with so many dispatches traced; none if 0."""
  trace, count = contextlib.ExitStack(), itertools.count(1)

  def traced_at(step, times):
    number, run = next(count), step_at(step, times)
    if not WARM < number <= WARM + dispatches:
      return run

    def traced(*args):
      if number == WARM + 1:
        jax.block_until_ready(args)
        trace.enter_context(jax.profiler.trace(str(directory)))
      results = run(*args)
      if number == WARM + dispatches:
        jax.block_until_ready(results)
        trace.close()
      return results

    return traced

  with trace:
    yield traced_at if dispatches else step_at
  if dispatches and next(count) <= WARM + dispatches:
    say(
      f"fewer than {WARM + dispatches} dispatches were made, so not all "
      f"{dispatches} that config.profile asks for are in {directory}"
    )
