"""Compositions: which network each unit comes from, such as "TTSS".

"T" is the teacher's unit, "S" the student's; "SSSS" is the student and "TTTT"
the teacher. A ladder climbs from the one to the other, one unit a rung.
"""

import itertools
from collections.abc import Callable, Sequence

from pwl_jax.method.checks import check_choice

TEACHER, STUDENT = "T", "S"
ROLES = {TEACHER: "teacher", STUDENT: "student"}  # The keys of variables.


def validate(composition: str, num_units: int) -> str:
  """Returns the composition if it is one of `num_units` units, else raises."""
  if not isinstance(composition, str):
    raise ValueError(
      f"a composition is a string, got {composition!r}; write it with one "
      f'letter per unit, such as "{_example(num_units)}"'
    )
  if len(composition) != num_units or set(composition) - {TEACHER, STUDENT}:
    raise ValueError(
      f"composition {composition!r} does not fit: it needs {num_units} "
      f"letters, one per unit, each T (teacher) or S (student), such as "
      f'"{_example(num_units)}"'
    )
  return composition


def _example(num_units: int) -> str:
  teachers = (num_units + 1) // 2
  return TEACHER * teachers + STUDENT * (num_units - teachers)


def to_bits(composition: str) -> tuple[bool, ...]:
  """TTSS -> (True, True, False, False): True where the teacher runs."""
  return tuple(letter == TEACHER for letter in composition)


def from_bits(bits: Sequence[bool]) -> str:
  return "".join(TEACHER if bit else STUDENT for bit in bits)


def complement(composition: str) -> str:
  return from_bits([not bit for bit in to_bits(composition)])


def every(num_units: int) -> list[str]:
  """All 2^N compositions, from the student to the teacher."""
  letters = itertools.product(STUDENT + TEACHER, repeat=num_units)
  return ["".join(word) for word in letters]


def prefix(num_units: int) -> list[str]:
  """T..TS..S: the default order of loading, from the student up."""
  return [TEACHER * k + STUDENT * (num_units - k) for k in range(num_units + 1)]


def suffix(num_units: int) -> list[str]:
  """S..ST..T: the head is loaded first."""
  return [word[::-1] for word in prefix(num_units)]


def contiguous(num_units: int) -> list[str]:
  """S..ST..TS..S: one run of teacher units anywhere, prefixes included."""
  runs = [
    STUDENT * start + TEACHER * length + STUDENT * (num_units - start - length)
    for length in range(1, num_units + 1)
    for start in range(num_units - length + 1)
  ]
  return [STUDENT * num_units, *runs]


FAMILIES: dict[str, Callable[[int], list[str]]] = {
  "prefix": prefix,
  "suffix": suffix,
  "contiguous": contiguous,
}


def family(name: str, num_units: int) -> list[str]:
  """The members of a family, the student first and the teacher last."""
  check_choice("family", name, FAMILIES)
  return FAMILIES[name](num_units)


def ladder(order: Sequence[int]) -> list[str]:
  """The compositions met when units are loaded in this order, (0, 1, 2, ...).

  From the student to the teacher, one unit changed per rung.
  """
  num_units = len(order)
  if sorted(order) != list(range(num_units)):
    raise ValueError(
      f"a loading order names every unit once, got {tuple(order)}; with "
      f"{num_units} units give a permutation of {tuple(range(num_units))}"
    )
  rungs = [STUDENT * num_units]
  for unit in order:
    rungs.append(rungs[-1][:unit] + TEACHER + rungs[-1][unit + 1 :])
  return rungs
