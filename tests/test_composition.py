"""Compositions, families and ladders."""

import pytest

from pwl_jax.method import composition


def test_every_counts_up_from_the_student_to_the_teacher():
  assert composition.every(2) == ["SS", "ST", "TS", "TT"]
  assert len(set(composition.every(5))) == 32


def test_families_of_three_units():
  assert composition.prefix(3) == ["SSS", "TSS", "TTS", "TTT"]
  assert composition.suffix(3) == ["SSS", "SST", "STT", "TTT"]
  runs = ["SSS", "TSS", "STS", "SST", "TTS", "STT", "TTT"]
  assert composition.contiguous(3) == runs


@pytest.mark.parametrize("name", composition.FAMILIES)
@pytest.mark.parametrize("num_units", [1, 2, 5])
def test_families_go_from_student_to_teacher_without_repeats(name, num_units):
  members = composition.family(name, num_units)
  assert members[0] == "S" * num_units
  assert members[-1] == "T" * num_units
  assert len(set(members)) == len(members)
  assert set(members) <= set(composition.every(num_units))


def test_ladder_changes_one_unit_a_rung_in_the_given_order():
  assert composition.ladder([2, 0, 1]) == ["SSS", "SST", "TST", "TTT"]
  assert composition.ladder(range(4)) == composition.prefix(4)
  assert composition.ladder([3, 2, 1, 0]) == composition.suffix(4)


def test_bits_and_back():
  for word in composition.every(4):
    assert composition.from_bits(composition.to_bits(word)) == word
    assert composition.complement(composition.complement(word)) == word
  assert composition.to_bits("TS") == (True, False)
  assert composition.complement("TTS") == "SST"


@pytest.mark.parametrize("given", ["TT", "TTSSS", "TXSS", "ttss", "", "T SS"])
def test_a_bad_composition_says_what_is_allowed(given):
  with pytest.raises(ValueError, match=r"4 letters.*T .*S .*TTSS") as error:
    composition.validate(given, 4)
  assert repr(given) in str(error.value)


@pytest.mark.parametrize("given", [None, 3, ["T", "S"], (True, False)])
def test_a_composition_of_another_type_is_refused(given):
  with pytest.raises(ValueError, match="is a string"):
    composition.validate(given, 2)


def test_unknown_family_and_bad_order_are_refused():
  with pytest.raises(ValueError, match=r"'prefx' .did you mean 'prefix'"):
    composition.family("prefx", 3)
  for order in ([0, 0, 1], [1, 2, 3], [0, 2]):
    with pytest.raises(ValueError, match="every unit once"):
      composition.ladder(order)
