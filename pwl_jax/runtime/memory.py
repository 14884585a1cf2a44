"""What fits into the memory that was granted: pure arithmetic of bytes.

Nothing is kept here; whoever loads asks beforehand. A composition fits with
the pieces it runs on, and with the student's where those have to stay.
"""

from typing import NamedTuple

from pwl_jax.bundle.manifest import Manifest
from pwl_jax.method.composition import STUDENT as S
from pwl_jax.method.composition import TEACHER as T
from pwl_jax.runtime.errors import BudgetExceeded
from pwl_jax.runtime.routes import accuracies


class Memory(NamedTuple):
  """A budget over the pieces of a bundle."""

  manifest: Manifest
  budget: int | None = None  # Bytes; None is no limit.
  keep_student: bool | None = None  # None keeps it where it fits.

  def size(self, *pieces: str) -> int:
    return sum(self.manifest.pieces[piece].nbytes for piece in pieces)

  @property
  def largest(self) -> int:
    """Of what is loaded at once."""
    return max(map(self.manifest.loading_bytes, self.manifest.pieces))

  @property
  def student(self) -> set[str]:
    units = range(self.manifest.num_units)
    return {self.manifest.unit(S, i) for i in units}

  def needed(self, word: str) -> set[str]:
    """The pieces that have to be there while it is served; "" is nothing."""
    needed = {*self.manifest.pieces_of(word)} if word else set()
    return needed | self.student if self.keep_student else needed

  def kept(self, word: str) -> set[str]:
    """The pieces that may be there while it is served."""
    both = self.needed(word) | self.student
    fits = self.budget is None or self.size(*both) <= self.budget
    keeps = self.keep_student is None and fits
    return both if keeps else self.needed(word)

  def fits(self, word: str) -> bool:
    return self.budget is None or self.size(*self.needed(word)) <= self.budget

  def room(self, present: str) -> int | None:
    """For whatever is there while another one is loaded; None is no limit.

    That is one unit beyond the budget, or beyond what is served anyway.
    """
    if self.budget is None:
      return None
    return max(self.budget, self.size(*self.needed(present))) + self.largest

  def crosses(self, present: str, word: str) -> bool:
    """Whether both find room while one takes the place of the other."""
    room = self.room(present)
    both = self.needed(present) | self.needed(word)
    return room is None or self.size(*both) <= room

  def candidates(self, present: str) -> list[str]:
    """What fits and was measured, the best first.

    The teacher, where it fits, before all others; of equally good ones what
    is served, and then the smallest.
    """
    teacher = T * self.manifest.num_units
    accuracy = {teacher: 0.0} | accuracies(self.manifest)

    def goodness(word):
      size = self.size(*self.needed(word))
      return word == teacher, accuracy[word], word == present, -size

    return sorted(filter(self.fits, accuracy), key=goodness, reverse=True)

  def choices(self, present: str) -> list[str]:
    """The candidates; raises where there are none."""
    found = self.candidates(present)
    if not found:
      sizes = {
        word: self.size(*self.needed(word))
        for word in accuracies(self.manifest)
      }
      least = min(sizes, key=sizes.get)
      raise BudgetExceeded(
        f"no composition fits {self.budget:,} bytes; the smallest, {least}, "
        f"takes {sizes[least]:,}"
      )
    return found

  def check(self, word: str):
    """Raises unless it fits."""
    if not self.fits(word):
      raise BudgetExceeded(
        f"{word} takes {self.size(*self.needed(word)):,} bytes"
        f"{', the student kept' if self.keep_student else ''}, and the "
        f"budget is {self.budget:,}; the best that fits is "
        f"{self.choices(word)[0]}"
      )
