"""What a field of a file may be: forms that are put together from smaller ones.

A form is called with a value and the name of its place; it raises a ValueError
that names the place where the value is another.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MOST = 1e30  # No size or time is larger; sums of such are still numbers.

Form = Callable[[Any, str], None]


def is_number(value: Any) -> bool:
  """Neither NaN nor infinite, nor a truth value."""
  known = isinstance(value, int | float) and not isinstance(value, bool)
  return known and -MOST <= value <= MOST


def is_amount(value: Any) -> bool:
  return is_number(value) and value >= 0


def is_whole(value: Any) -> bool:
  return is_amount(value) and isinstance(value, int)


def is_share(value: Any) -> bool:
  return is_amount(value) and value <= 1


def _of(accepts: Callable[[Any], bool], what: str) -> Form:
  def check(value: Any, where: str):
    if not accepts(value):
      raise ValueError(f"{where} is {value!r}, not {what}")

  return check


amount = _of(is_amount, "a number from 0 on")
whole = _of(is_whole, "a whole number from 0 on")
share = _of(is_share, "a number from 0 to 1")
text = _of(lambda value: isinstance(value, str), "text")
flag = _of(lambda value: isinstance(value, bool), "true or false")
anything = _of(lambda value: True, "")
_object = _of(lambda value: isinstance(value, dict), "an object")
_list = _of(lambda value: isinstance(value, list), "a list")


def maybe(form: Form) -> Form:
  """Or null."""

  def check(value: Any, where: str):
    if value is not None:
      form(value, where)

  return check


def listed(form: Form) -> Form:
  """A list of any length."""

  def check(value: Any, where: str):
    _list(value, where)
    for i, member in enumerate(value):
      form(member, f"{where}[{i}]")

  return check


def named(form: Form) -> Form:
  """An object with any names."""

  def check(value: Any, where: str):
    _object(value, where)
    for name, member in value.items():
      form(member, f"{where}.{name}")

  return check


def fields(forms: Mapping[str, Form], *, optional: Sequence[str] = ()) -> Form:
  """An object with these names; others beside them are not looked at."""

  def check(value: Any, where: str):
    _object(value, where or "it")
    for name, form in forms.items():
      if name in value:
        form(value[name], f"{where}.{name}".lstrip("."))
      elif name not in optional:
        raise ValueError(f"{where} has no {name}" if where else f"no {name}")

  return check
