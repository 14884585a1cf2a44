"""What the show counts and records: amounts, times, answers, bins."""

import threading

import numpy as np
import pytest
from play_cases import described, made_up

from pwl_jax.play import quantities, timeline
from pwl_jax.play.stream import Answer, Stream


@pytest.mark.parametrize(
  "text,value",
  [
    ("20MB/s", 20e6),
    ("1.5 GB/s", 1.5e9),
    ("500k", 5e5),
    (" 1 KiB/s ", 1024),
    (".5T", 5e11),
    ("7", 7),
  ],
)
def test_amounts_are_read_as_people_write_them(text, value):
  assert quantities.bytes_per_second("--bandwidth", text) == value
  assert quantities.nbytes("--budget", text.replace("/s", "")) == value


@pytest.mark.parametrize(
  "text",
  [
    "",
    "fast",
    "-1MB/s",
    "0",
    "1e3",
    "MB",
    "1 MB per s",
    "20 Mbit/s",
    "9" * 400,
  ],
)
def test_what_is_no_amount_is_refused_with_examples(text):
  with pytest.raises(ValueError, match=r"--bandwidth is .* such as 20MB/s"):
    quantities.bytes_per_second("--bandwidth", text)
  with pytest.raises(ValueError, match=r"--budget is .* such as 20MB"):
    quantities.nbytes("--budget", text)


def test_a_rate_is_positive_and_of_seconds():
  assert quantities.per_second("--requests", "0.5/s") == 0.5
  for text in ("0", "-1/s", "inf", "nan", "5/min", "", "1e-9", "1e9"):
    with pytest.raises(ValueError, match="such as 200/s"):
      quantities.per_second("--requests", text)
  with pytest.raises(ValueError, match="--budget"):
    quantities.nbytes("--budget", "20MB/s")  # Of memory, and no rate.


def test_a_percentile_is_a_value_that_came():
  values = list(range(100, 0, -1))
  assert timeline.percentile(values, 50) == 50
  assert timeline.percentile(values, 99) == 99
  assert timeline.percentile(values, 100) == 100
  assert timeline.percentile([3.0], 50) == timeline.percentile([3.0], 99) == 3
  assert timeline.percentile([], 50) is None


def test_the_timeline_counts_every_answer_once():
  rungs, answers = made_up()
  found = described(rungs, answers[::-1], SS=(0.5, 0.4), TS=(0.6, None))
  assert found["first_answer_seconds"] == pytest.approx(1.012)
  assert [r["requests"] for r in found["rungs"]] == [100, 100, 200]
  assert [r["accuracy"] for r in found["rungs"]] == [0.5, 1.0, 1.0]
  assert [r["test_accuracy"] for r in found["rungs"]] == [0.4, None, None]
  assert [r["valid_accuracy"] for r in found["rungs"]] == [0.5, 0.6, None]
  for rung in found["rungs"]:
    assert rung["p50_ms"] == pytest.approx(2)
    assert rung["p99_ms"] == pytest.approx(100)
  bins = found["bins"]
  assert timeline.BINS <= len(bins) <= timeline.BINS + 5
  for word, count in (("SS", 100), ("TS", 100), ("TT", 200)):
    of = [part for part in bins if part["composition"] == word]
    assert sum(part["requests"] for part in of) == count
  assert all(part["from"] <= part["until"] for part in bins)
  starts = [part["from"] for part in bins]
  assert starts == sorted(starts)


def test_answers_that_overtake_each_other_keep_a_bin_in_order():
  late, early = Answer(1.0, 1.4, "S", 1), Answer(1.1, 1.2, "S", 1)
  last = Answer(1.2, 90.0, "S", 1)
  first, second = timeline.bins([early, late, last], batch=1)
  assert (first["from"], first["until"], second["from"]) == (1.2, 1.4, 90.0)


def test_compositions_that_alternate_have_bins_that_do_not_overlap():
  """The student's last answer is late, and the end is far."""
  words = "SSTSTT"
  answers = [Answer(i, i, words[i], 1) for i in range(6)]
  answers.append(Answer(9, 90 * timeline.BINS, "T", 1))
  found = timeline.bins(answers, batch=1)
  assert [(b["composition"], b["from"], b["until"]) for b in found] == [
    ("S", 0, 3),
    ("T", 2, 5),
    ("T", 90 * timeline.BINS, 90 * timeline.BINS),
  ]


def test_a_timeline_without_answers_or_labels():
  rungs, answers = made_up()
  found = described(rungs, [])
  assert found["first_answer_seconds"] is None and found["bins"] == []
  assert found["rungs"][0]["p50_ms"] is None
  found = described(rungs, [a._replace(right=None) for a in answers])
  assert {rung["accuracy"] for rung in found["rungs"]} == {None}
  assert {part["accuracy"] for part in found["bins"]} == {None}


def test_a_rung_that_nobody_asked_is_told():
  rungs, answers = made_up()
  found = described(rungs, [a for a in answers if a.composition != "TS"])
  assert [r["requests"] for r in found["rungs"]] == [100, 0, 200]
  assert found["rungs"][1]["accuracy"] is None


class Clock:
  """Time that stands still but for what it is told."""

  now = 0.0

  def __call__(self):
    return self.now


def test_latency_counts_from_when_a_request_was_due():
  """A model that takes a second for each, asked ten times a second."""
  clock, images = Clock(), np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
  asked, enough = [], threading.Event()

  def ask(batch):
    clock.now += 1.0
    asked.append(batch.ravel().tolist())
    if len(asked) == 2:
      raise RuntimeError("once")
    if len(asked) == 5:
      enough.set()
    return "S", np.eye(3)[batch.ravel() % 3]

  stream = Stream(
    ask,
    images,
    np.zeros(6, np.int64),
    per_second=10,
    batch=4,
    threads=1,
    clock=clock,
  )
  stream.start()
  assert enough.wait(30)
  stream.stop()
  assert asked[:3] == [[0, 1, 2, 3], [4, 5, 0, 1], [2, 3, 4, 5]]
  assert [a.due for a in stream.answers[:3]] == pytest.approx([0, 0.2, 0.3])
  assert [a.answered for a in stream.answers[:3]] == [1.0, 3.0, 4.0]
  assert [a.right for a in stream.answers[:3]] == [2, 1, 2]
  assert stream.failures == ["RuntimeError: once"]
  assert [stream.due(x) for x in (-1.0, 0.0, 5.0)] == [0, 1, 51]
