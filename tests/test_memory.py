"""What fits a budget, and ways on which it is kept."""

import itertools

import numpy as np
import pytest

from pwl_jax.bundle.manifest import (
  Composition,
  ImageInput,
  Leaf,
  Manifest,
  Piece,
)
from pwl_jax.method import composition as compositions
from pwl_jax.runtime import routes
from pwl_jax.runtime.errors import BudgetExceeded
from pwl_jax.runtime.memory import Memory

N = 3
WORDS = compositions.every(N)
ORDER = routes.loading_order(compositions.prefix(N), N)


def manifest_of(sizes, accuracy=None, ladder=None):
  """`sizes` in bytes, by piece."""
  pieces = {
    name: Piece({"params/a": Leaf("uint8", (size,), "")}, {})
    for name, size in sizes.items()
  }
  if accuracy is None:
    accuracy = {word: word.count("T") / N for word in WORDS}
  return Manifest(
    num_units=N,
    input=ImageInput((1, 1, 1), (0.5,), (0.5,), "exact"),
    class_names=(),
    store="safetensors",
    pieces=pieces,
    compositions={w: Composition(0, a, a, False) for w, a in accuracy.items()},
    ladder=compositions.prefix(N) if ladder is None else ladder,
    config={},
    versions={},
    platforms=(),
    files={},
  )


def drawn(seed):
  rng = np.random.default_rng(seed)
  sizes = {}
  for i in range(N):
    sizes[f"student/unit{i}"] = int(rng.integers(1, 60))
    sizes[f"teacher/unit{i}"] = int(rng.integers(20, 100))
    if i:
      sizes[f"converters/boundary{i - 1}"] = int(rng.integers(1, 6))
  return sizes


def plain_size(sizes, words, keep):
  """By hand: every piece that one of the words runs on, once."""
  pieces = set()
  for word in words:
    for i, letter in enumerate(word):
      pieces.add(("teacher" if letter == "T" else "student") + f"/unit{i}")
      if i and word[i - 1] != letter:
        pieces.add(f"converters/boundary{i - 1}")
  if keep:
    pieces |= {f"student/unit{i}" for i in range(N)}
  return sum(sizes[piece] for piece in pieces)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("keep", [True, False, None])
def test_no_way_goes_beyond_its_room(seed, keep):
  """More than one unit at once only where both find room; a way always ends.

  One unit at a time has to be, or a budget that was cut could not be met.
  """
  sizes = drawn(seed)
  manifest = manifest_of(sizes)
  largest = max(sizes.values())
  least = min(plain_size(sizes, [word], keep) for word in WORDS)
  most = sum(sizes.values())
  for budget in np.linspace(least, most, 5).astype(int):
    memory = Memory(manifest, int(budget), keep)
    for present, target in itertools.permutations(WORDS, 2):
      if not memory.fits(target):
        continue
      way = routes.route(
        present,
        target,
        ORDER,
        routes.accuracies(manifest),
        policy="every",
        crosses=memory.crosses,
      )
      assert way[-1] == target
      for before, after in itertools.pairwise([present, *way]):
        changed = sum(a != b for a, b in zip(before, after, strict=True))
        both = plain_size(sizes, [before, after], keep)
        own = plain_size(sizes, [before], keep)
        assert changed == 1 or both <= max(budget, own) + largest


def test_the_way_down_is_taken_in_parts_that_find_room():
  sizes = {f"student/unit{i}": 40 for i in range(N)}
  sizes |= {f"teacher/unit{i}": 50 for i in range(N)}
  manifest = manifest_of(sizes)
  accuracy = routes.accuracies(manifest)

  def way(present, target, budget):
    crosses = Memory(manifest, budget, False).crosses
    return routes.route(present, target, ORDER, accuracy, crosses=crosses)

  assert way("TTT", "SSS", None) == ["SSS"]
  # 150 are served; with 50 beyond that one unit of 40 fits at a time.
  assert way("TTT", "SSS", 120) == ["TTS", "TSS", "SSS"]
  assert way("TTT", "SSS", 180) == ["TSS", "SSS"]
  assert way("TSS", "SST", 135) == ["SSS", "SST"]
  assert way("TSS", "SST", None) == ["SST"]


def test_several_units_at_once_need_their_room():
  """What mends a worse composition cannot be taken apart."""
  sizes = {f"student/unit{i}": 40 for i in range(N)}
  sizes |= {f"teacher/unit{i}": 50 for i in range(N)}
  accuracy = {"SSS": 0.5, "TSS": 0.1, "TTS": 0.2, "TTT": 0.9}
  manifest = manifest_of(sizes, accuracy)

  def way(budget, policy="better"):
    crosses = Memory(manifest, budget, False).crosses
    found = routes.accuracies(manifest)
    return routes.route(
      "SSS", "TTT", ORDER, found, policy=policy, crosses=crosses
    )

  assert way(None) == way(220) == ["TTT"]
  assert way(219) is None
  assert way(219, "every") == ["TSS", "TTS", "TTT"]


def test_the_teacher_before_all_others_and_then_the_best():
  sizes = drawn(0)
  accuracy = dict.fromkeys(WORDS, 0.5) | {"STS": 0.9, "TTT": 0.1}
  memory = Memory(manifest_of(sizes, accuracy), None, False)
  assert memory.candidates("SSS")[:2] == ["TTT", "STS"]
  assert memory.candidates("TSS")[2] == "TSS"  # As good, and there already.
  size = {w: plain_size(sizes, [w], False) for w in WORDS}
  for budget in range(min(size.values()), max(size.values()) + 10, 7):
    found = memory._replace(budget=budget).candidates("SSS")
    assert set(found) == {w for w in WORDS if size[w] <= budget}
    rest = [w for w in found if w not in ("TTT", "STS", "SSS")]
    assert rest == sorted(rest, key=size.get)


def test_what_does_not_fit_is_refused_with_what_does():
  sizes = drawn(1)
  memory = Memory(manifest_of(sizes), plain_size(sizes, ["TTT"], False))
  memory.check("TTT")
  tight = memory._replace(budget=memory.budget - 1)
  with pytest.raises(BudgetExceeded, match=r"TTT takes.*the best that fits is"):
    tight.check("TTT")
  with pytest.raises(BudgetExceeded, match=r"TTT takes.*the student kept"):
    memory._replace(keep_student=True).check("TTT")
  with pytest.raises(BudgetExceeded, match="no composition fits 1 bytes"):
    memory._replace(budget=1).choices("SSS")


@pytest.mark.parametrize("ladder", [(), ("SSS", "TTT")])
def test_a_bundle_of_which_nothing_was_measured(ladder):
  memory = Memory(manifest_of(drawn(2), {}, ladder), None)
  assert memory.candidates("SSS")[0] == "TTT"
  order = routes.loading_order(ladder, N)
  assert sorted(order) == [(0, "T"), (1, "T"), (2, "T")]
  way = routes.route("SSS", "TTT", order, routes.accuracies(memory.manifest))
  assert way[-1] == "TTT"


def test_the_student_is_kept_where_it_fits():
  sizes = drawn(3)
  memory = Memory(manifest_of(sizes), None, None)
  student = {f"student/unit{i}" for i in range(N)}
  assert student <= memory.kept("TTT")
  both = plain_size(sizes, ["TTT", "SSS"], False)
  assert student <= memory._replace(budget=both).kept("TTT")
  assert not student & memory._replace(budget=both - 1).kept("TTT")
  assert not student & memory._replace(keep_student=False).kept("TTT")
  assert memory.kept("") <= student
