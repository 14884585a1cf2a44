"""Budgets of a model that serves: what it sheds, keeps and refuses."""

import pytest

from pwl_jax.runtime import errors
from pwl_jax.runtime.holdings import Holdings
from pwl_jax.runtime.memory import Memory
from tests.runtime_cases import WORDS, answers_as, change, sizes_of


def rises_with_the_teacher(model):
  measured = {
    word: found._replace(valid=word.count("T") / 3)
    for word, found in model.manifest.compositions.items()
  }
  change(model, compositions=measured)


def test_a_budget_sheds_and_takes_up(opened):
  model = opened(keep_student=False)
  sizes = sizes_of(model)
  rises_with_the_teacher(model)
  for budget in (max(sizes.values()), sizes["TTS"], sizes["SSS"], None):
    reached = model.budget(budget).wait()
    fitting = [w for w in WORDS if budget is None or sizes[w] <= budget]
    most = max(word.count("T") for word in fitting)
    assert reached.count("T") == most and model.composition == reached
    assert budget is None or model.resident_bytes <= budget
  model.budget(sizes["TSS"]).wait()
  with pytest.raises(errors.BudgetExceeded, match="the best that fits is"):
    model.upgrade(to="TTT")
  assert model.upgrade().wait() == model.composition != "TTT"
  with pytest.raises(errors.BudgetExceeded, match="the smallest, SSS, takes"):
    model.budget(1)
  with pytest.raises(ValueError, match="budget is 0"):
    model.budget(0)


def test_never_more_than_one_unit_beyond_the_budget(opened):
  model = opened(keep_student=False, budget=None)
  sizes = sizes_of(model)
  largest = max(piece.nbytes for piece in model.manifest.pieces.values())
  budget = max(sizes.values())
  model.budget(budget).wait()
  for word in ("SSS", "TTT", "STS", "TTT"):
    assert model.upgrade(to=word, policy="every").wait() == word
  for event in model.events:
    assert event.resident_bytes <= budget + largest


def test_a_student_as_large_as_a_unit_goes_in_parts(opened, monkeypatch):
  """The way up and down where not all of it finds room at once."""
  model = opened(keep_student=False)
  sizes, pieces = sizes_of(model), model.manifest.pieces
  one = max(pieces[f"student/unit{i}"].nbytes for i in range(3))
  one += max(pieces[f"converters/boundary{i}"].nbytes for i in range(2))
  monkeypatch.setattr(Memory, "largest", one)
  model.budget(sizes["TTT"]).wait()
  model.upgrade(policy="every").wait()
  before = len(model.events)
  assert model.budget(sizes["SSS"]).wait() == "SSS"
  assert model.resident_bytes == sizes["SSS"]
  events = model.events[before:]
  served = [event.composition for event in events if event.kind == "served"]
  assert served[0] == "TTS" and len(served) >= 2
  assert max(e.resident_bytes for e in events) <= sizes["TTT"] + one
  answers_as(model, "SSS")


def test_a_budget_sheds_what_was_kept_though_nothing_else_changes(opened):
  model = opened()
  model.upgrade().wait()
  sizes = sizes_of(model)
  assert model.resident_bytes > sizes["TTT"]
  assert model.budget(sizes["TTT"]).wait() == "TTT"
  assert model.resident_bytes == sizes["TTT"]


def test_a_student_that_is_kept_is_part_of_the_budget(opened):
  model = opened(keep_student=True)
  sizes = sizes_of(model)
  with pytest.raises(errors.BudgetExceeded, match="the student kept"):
    model.budget(sizes["TTT"]).wait()
    model.upgrade(to="TTT")
  both = sizes["TTT"] + sizes["SSS"]
  assert model.budget(both).wait() == "TTT"
  assert model.resident_bytes == both
  loaded = sum(event.kind == "loaded" for event in model.events)
  assert model.downgrade().wait() == "SSS"
  assert sum(event.kind == "loaded" for event in model.events) == loaded


def test_a_budget_whose_best_cannot_be_loaded_is_kept_all_the_same(
  opened, monkeypatch
):
  model = opened(keep_student=False, retries=0)
  rises_with_the_teacher(model)
  model.upgrade().wait()
  sizes, read = sizes_of(model), Holdings.read

  def failing(holdings, piece, pace):
    if piece.startswith("converters"):
      raise errors.LoadFailed(f"{piece}: gone", piece)
    return read(holdings, piece, pace)

  monkeypatch.setattr(Holdings, "read", failing)
  budget = max(size for word, size in sizes.items() if word != "TTT")
  with pytest.raises(errors.LoadFailed, match="converters"):
    model.budget(budget).wait()
  answers_as(model, "SSS")  # The only one that needs none.
  assert model.resident_bytes == sizes["SSS"]


def test_more_memory_takes_nothing_away(opened):
  """Where all are equally good, too."""
  model = opened()
  equal = {
    word: found._replace(valid=0.5)
    for word, found in model.manifest.compositions.items()
  }
  change(model, compositions=equal)
  assert model.upgrade(to="TTS").wait() == "TTS"
  sizes = sizes_of(model)
  assert model.budget(sizes["TTT"] - 1).wait() == "TTS"
  for budget in (sizes["TTT"], 10**9, None):
    assert model.budget(budget).wait() == "TTT"


@pytest.mark.parametrize("keep", [True, False])
def test_the_student_is_kept_or_not(opened, keep):
  model = opened(keep_student=keep)
  model.upgrade().wait()
  pieces = model.manifest.pieces
  student = sum(pieces[f"student/unit{i}"].nbytes for i in range(3))
  teacher = sum(pieces[f"teacher/unit{i}"].nbytes for i in range(3))
  assert model.resident_bytes == teacher + keep * student
  loaded = [e.text for e in model.events if e.kind == "loaded"]
  model.downgrade().wait()
  again = [e.text for e in model.events if e.kind == "loaded"][len(loaded) :]
  assert len(again) == (0 if keep else 3)
