"""What a run tells: rates, what is left, lines on a terminal and in a log."""

import io

import pytest
from rich.console import Console

from pwl_jax.training import reporting

METRICS = {"loss": 1.0, "accuracy": 0.5, "hard": 0.25, "cross": 0.0}


@pytest.fixture
def clock(monkeypatch):
  """Seconds that pass only when told."""
  now = [100.0]
  monkeypatch.setattr(reporting.time, "perf_counter", lambda: now[0])

  def wait(seconds):
    now[0] += seconds

  return wait


def test_a_rate_leaves_evaluations_out_and_what_is_left_does_not(clock):
  watch = reporting.Clock()
  assert watch.rate(0) is None and watch.left(0, 100) is None
  watch.start(10)  # After a step that compiled.
  assert watch.left(10, 100) is None
  clock(5)
  assert watch.rate(20) == 2  # Steps per second.
  clock(10)
  watch.leave_out(10)
  clock(5)
  assert watch.rate(30) == 2
  assert watch.left(30, 100) == 70  # 20 steps took 20 seconds.
  assert watch.total() == 20


def report(directory, console, from_step=0):
  return reporting.Reporter(
    directory,
    "teacher",
    from_step=from_step,
    num_steps=8,
    batch_size=3,
    console=console,
  )


def test_a_log_gets_plain_lines(tmp_path, clock):
  said = io.StringIO()
  reporter = report(tmp_path, Console(file=said, width=40))
  reporter.start(1)
  reporter.log(1, METRICS)
  clock(2)
  reporter.log(5, METRICS)
  with reporter.pause():
    clock(7)
    reporter.evaluation(5, {"loss": 2.0, "accuracy": 0.25})
  reporter.close()
  assert said.getvalue().splitlines() == [
    "teacher 1/8 loss 1.000 accuracy 50.0 % (hard 0.25)",
    "teacher 5/8 loss 1.000 accuracy 50.0 % (hard 0.25) "
    "6 examples/s, 0:02 left",
    "teacher 5/8 held out: loss 2.000 accuracy 25.0 %",
  ]


def test_a_terminal_of_80_columns_shows_all_that_matters(tmp_path, clock):
  said = io.StringIO()
  console = Console(file=said, width=80, force_terminal=True, color_system=None)
  reporter = report(tmp_path, console)
  reporter.start(1)
  clock(2)
  reporter.log(5, METRICS | {"feature": 1.0, "reconstruction": 1.0})
  reporter.close()
  shown = said.getvalue()
  for part in ("5/8", "6 examples/s, 0:02 left", "accuracy 50.0 %", "feature"):
    assert part in shown
  assert "\n" not in shown.partition("5/8")[2].partition("left")[0]


def test_seconds_are_counted_over_all_runs(tmp_path, clock):
  for steps in (2, 5):
    reporter = report(tmp_path, Console(quiet=True), steps - 1)
    reporter.start(steps)
    clock(10)
    reporter.log(steps, METRICS)
    assert reporter.seconds == (10 if steps == 2 else 20)
    reporter.close()


@pytest.mark.parametrize(
  "seconds,text", [(0.4, "0:00"), (75, "1:15"), (3675, "1:01:15")]
)
def test_seconds_as_people_write_them(seconds, text):
  assert reporting.format_seconds(seconds) == text
