"""Compositions: which network each unit comes from, such as "TTSS".

"T" is the teacher's unit, "S" the student's; "SSSS" is the student and "TTTT"
the teacher. A ladder climbs from the one to the other, one unit a rung.

Where the teacher is served in two precisions, "t" is its unit in fewer bits:
"TtSS". It runs in the teacher's place, and no converter is between "T" and "t".
"""

import itertools
from collections.abc import Callable, Collection, Sequence

from pwl_jax.method.checks import check_choice

TEACHER, COARSE, STUDENT = "T", "t", "S"
ROLES = {TEACHER: "teacher", STUDENT: "student"}  # Of the two networks.
GROUPS = {**ROLES, COARSE: "coarse"}  # The keys of variables.
CLIMB = STUDENT + COARSE + TEACHER  # What a unit is, one after the other.


def validate(
  composition: str, num_units: int, coarse: Collection[int] = ()
) -> str:
  """Returns the composition if it is one of `num_units` units, else raises.

  `coarse` are the units that there are in fewer bits, too.
  """
  example = _example(num_units)
  if not isinstance(composition, str):
    raise ValueError(
      f"a composition is a string, got {composition!r}; write it with one "
      f'letter per unit, such as "{example}"'
    )
  if len(composition) != num_units or set(composition) - set(CLIMB):
    more = f", {COARSE} (teacher, in fewer bits)" if coarse else ""
    raise ValueError(
      f"composition {composition!r} does not fit: it needs {num_units} "
      f"letters, one per unit, each T (teacher){more} or S (student), such as "
      f'"{example}"'
    )
  for i, letter in enumerate(composition):
    if letter == COARSE and i not in coarse:
      known = ", ".join(map(str, sorted(coarse))) or "none"
      raise ValueError(
        f"composition {composition!r} has unit {i} of the teacher in fewer "
        f"bits, which is not there (of units: {known}); use T (teacher) or S "
        "(student)"
      )
  return composition


def side(letter: str) -> str:
  """The network whose widths a unit has: T or S."""
  return TEACHER if letter == COARSE else letter


def in_full(composition: str) -> str:
  """TtSS -> TTSS: the one with all bits."""
  return composition.replace(COARSE, TEACHER)


def is_switch(letter: str, other: str) -> bool:
  """Whether a converter is between the units of two letters."""
  return side(letter) != side(other)


def climbs(below: str, above: str) -> bool:
  """Whether one unit changes from the one to the other, and gains by it."""
  changes = [(a, b) for a, b in zip(below, above, strict=True) if a != b]
  return len(changes) == 1 and rank(changes[0][0]) < rank(changes[0][1])


def rank(letter: str) -> int:
  """How far up a unit is: 0 for S, 1 for t, 2 for T."""
  return CLIMB.index(letter)


def height(word: str) -> int:
  """How far up all of its units are together."""
  return sum(map(rank, word))


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


def every(num_units: int, coarse: Collection[int] = ()) -> list[str]:
  """All 2^N compositions, from the student to the teacher.

  Units in `coarse` are there in fewer bits, too: 3^N where all of them are.
  """
  letters = (
    CLIMB if i in coarse else STUDENT + TEACHER for i in range(num_units)
  )
  return ["".join(word) for word in itertools.product(*letters)]


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
