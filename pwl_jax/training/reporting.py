"""What a run tells: metrics to files, progress to the terminal.

`metrics.jsonl` has one object per line; the same numbers go to TensorBoard.
On a terminal there is a live bar, in a log a plain line now and then.
"""

import contextlib
import json
import pathlib
import time
from collections.abc import Iterator, Mapping

import tensorboardX
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
)
from rich.text import Text

from pwl_jax.method.objective import PARTS
from pwl_jax.whole import write_whole


class Reporter:
  """Reports one stage; `silent` for all processes but the first."""

  def __init__(
    self,
    directory: pathlib.Path,
    stage: str,
    *,
    from_step: int,
    num_steps: int,
    batch_size: int,
    console: Console,
    silent: bool = False,
  ):
    self._stage, self._num_steps = stage, num_steps
    self._batch_size, self._console = batch_size, console
    self._clock, self._seconds_before = Clock(), 0.0
    self._silent = silent
    if silent:
      return
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "metrics.jsonl"
    self._seconds_before = _cut_back(path, from_step)
    self._file = path.open("a", buffering=1)
    self._board = tensorboardX.SummaryWriter(
      str(directory / "tensorboard"), purge_step=from_step + 1
    )
    self._progress = Progress(
      TextColumn("{task.description}"),
      BarColumn(bar_width=20),
      MofNCompleteColumn(),
      TextColumn("{task.fields[speed]}"),
    )
    self._task = self._progress.add_task(
      stage, total=num_steps, completed=from_step, speed="compiling"
    )
    # On a line of its own: a terminal may be 80 columns wide.
    self._numbers = Text(no_wrap=True, overflow="ellipsis")
    self._live = Live(
      Group(self._progress, self._numbers), console=console, transient=True
    )
    if console.is_terminal:
      self._live.start()

  @property
  def seconds(self) -> float:
    """Of this stage, in all runs that worked on it."""
    return self._seconds_before + self._clock.total()

  def start(self, step: int):
    """The clock of a rate starts here, after compiling."""
    self._clock.start(step)

  @contextlib.contextmanager
  def pause(self) -> Iterator[None]:
    """What happens within is no part of the rate of training."""
    began = time.perf_counter()
    yield
    self._clock.leave_out(time.perf_counter() - began)

  def log(self, step: int, metrics: Mapping[str, float]):
    """Metrics of a step; examples per second are added where known."""
    if self._silent:
      return
    left = self._clock.left(step, self._num_steps)
    rate = self._clock.rate(step)
    found, speed = dict(metrics), ""
    if rate is not None:
      found["examples_per_s"] = rate * self._batch_size
      speed = f"{found['examples_per_s']:,.0f} examples/s"
    if left is not None:
      speed += f", {format_seconds(left)} left"
    self._write(step, {**found, "seconds": self.seconds})
    numbers = describe(metrics)
    self._progress.update(self._task, completed=step, speed=speed)
    self._numbers.plain = numbers
    if not self._console.is_terminal:
      self._tell(step, f"{numbers} {speed}".rstrip())

  def evaluation(self, step: int, metrics: Mapping[str, float]):
    """Metrics of held-out data, told apart by their names."""
    if self._silent:
      return
    self._write(step, {f"valid_{k}": v for k, v in metrics.items()})
    self._tell(step, f"held out: {describe(metrics)}")

  def close(self):
    if self._silent:
      return
    self._live.stop()
    self._file.close()
    self._board.close()

  def _tell(self, step: int, text: str):
    line = f"{self._stage} {step}/{self._num_steps} {text}"
    self._console.print(line, soft_wrap=True, highlight=False)

  def _write(self, step: int, metrics: Mapping[str, float]):
    self._file.write(json.dumps({"step": step, **metrics}) + "\n")
    for name, value in metrics.items():
      self._board.add_scalar(f"{self._stage}/{name}", value, step)


class Clock:
  """How fast the steps go, and how long the rest will take."""

  def __init__(self):
    self._made = time.perf_counter()
    self._began = self._since = None

  def start(self, step: int):
    self._began = self._since = (step, time.perf_counter())

  def leave_out(self, seconds: float):
    if self._since is not None:
      self._since = (self._since[0], self._since[1] + seconds)

  def total(self) -> float:
    return time.perf_counter() - self._made

  def rate(self, step: int) -> float | None:
    """Steps per second since it was asked last."""
    since, self._since = self._since, (step, time.perf_counter())
    if since is None or step == since[0]:
      return None
    return (step - since[0]) / (self._since[1] - since[1])

  def left(self, step: int, num_steps: int) -> float | None:
    """Seconds, where the rest goes as it went until now, with evaluations."""
    if self._began is None or step == self._began[0]:
      return None
    spent = time.perf_counter() - self._began[1]
    return spent / (step - self._began[0]) * (num_steps - step)


def _cut_back(path: pathlib.Path, step: int) -> float:
  """Drops lines behind a step, left by a run that ended without saving.

  Returns the seconds that were spent up to it.
  """
  if not path.exists():
    return 0.0
  kept, seconds = [], 0.0
  for line in path.read_text().splitlines():
    try:
      found = json.loads(line)
    except ValueError:
      continue  # Cut short when the run was killed.
    if found["step"] <= step:
      kept.append(line)
      seconds = found.get("seconds", seconds)
  write_whole(path, "".join(f"{line}\n" for line in kept))
  return seconds


def describe(metrics: Mapping[str, float]) -> str:
  """loss 1.234 accuracy 56.7 % (hard 0.3 soft 0.4 ...)"""
  text = (
    f"loss {metrics['loss']:.3f} accuracy {100 * metrics['accuracy']:.1f} %"
  )
  # What is exactly zero was not asked for.
  parts = [f"{n} {metrics[n]:.2f}" for n in PARTS if metrics.get(n)]
  return f"{text} ({' '.join(parts)})" if parts else text


def format_seconds(seconds: float) -> str:
  """75 -> 1:15, 3675 -> 1:01:15."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours}:{minutes:02}:{seconds:02}"
  return f"{minutes}:{seconds:02}"
