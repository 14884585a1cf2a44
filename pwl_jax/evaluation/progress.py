"""How far a measurement is: a bar on a terminal, a line in a log."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)

from pwl_jax.training.accuracy import Batches
from pwl_jax.training.interruption import Request

QUIET = 60  # Seconds in a log without a word.


def make_watch(
  name: str, console: Console, request: Request
) -> Callable[[str], Callable[[Batches], Iterable]]:
  """Returns watch(what) -> passes batches on, and ends where it is asked to."""

  def watch(what: str) -> Callable[[Batches], Iterable]:
    return lambda batches: passed_on(
      batches,
      batches.count,
      title=f"{name}: {what}",
      console=console,
      check=request.check,
    )

  return watch


def passed_on(
  things: Iterable[Any],
  count: int,
  *,
  title: str,
  console: Console,
  check: Callable[[str], None] | None = None,
) -> Iterator[Any]:
  """The same things, of which there are so many; `check` may end them."""
  columns = (
    TextColumn("{task.description}"),
    BarColumn(bar_width=20),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
  )
  alive = console.is_terminal

  def tell(text: str):
    if not alive:
      console.print(text, soft_wrap=True, highlight=False)

  tell(title)
  told = time.monotonic()
  with Progress(
    *columns, console=console, transient=True, disable=not alive
  ) as progress:
    task = progress.add_task(title, total=count)
    for done, thing in enumerate(things, start=1):
      if check:
        check(f"in {title}")
      yield thing
      progress.advance(task)
      if time.monotonic() - told > QUIET:
        told = time.monotonic()
        tell(f"{title}, {done}/{count}")
