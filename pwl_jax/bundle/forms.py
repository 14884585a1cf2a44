"""What a field of a manifest may be: forms put together from smaller ones.

A form is called with a value and the name of its place; it raises a ValueError
that names the place where the value is another.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

Form = Callable[[Any, str], None]

_SHOWN = 40  # Letters of a value that is quoted.


def of(accepts: Callable[[Any], bool], what: str) -> Form:
  """A value that is accepted."""

  def check(value: Any, where: str):
    if not accepts(value):
      raise ValueError(f"{where} is {_shown(value)}, not {what}")

  return check


def is_text(value: Any) -> bool:
  """That can be written as UTF-8, which halves of a character cannot."""
  try:
    return isinstance(value, str) and value.encode() is not None
  except UnicodeEncodeError:
    return False


def is_number(value: Any) -> bool:
  """Neither NaN nor infinite, nor a truth value."""
  known = isinstance(value, int | float) and not isinstance(value, bool)
  return known and (isinstance(value, int) or math.isfinite(value))


text = of(is_text, "text")
anything = of(lambda value: True, "")
flag = of(lambda value: isinstance(value, bool), "true or false")
number = of(is_number, "a finite number")
positive = of(lambda v: is_number(v) and v > 0, "a number above 0")
share = of(lambda v: is_number(v) and 0 <= v <= 1, "a number from 0 to 1")
_object = of(lambda value: isinstance(value, dict), "an object")
_list = of(lambda value: isinstance(value, list), "a list")


def whole(least: int) -> Form:
  """A whole number from `least` on that any system can count to."""
  return of(
    lambda value: type(value) is int and least <= value < 1 << 48,
    f"a whole number from {least} to 2^48",
  )


def one_of(known: Any) -> Form:
  return of(
    lambda value: isinstance(value, str) and value in known,
    f"one of {', '.join(known)}",
  )


def maybe(form: Form) -> Form:
  """Or null."""

  def check(value: Any, where: str):
    if value is not None:
      form(value, where)

  return check


def listed(form: Form, length: int | None = None) -> Form:
  """A list, of any length unless one is given."""

  def check(value: Any, where: str):
    _list(value, where)
    if length is not None and len(value) != length:
      raise ValueError(f"{where} has {len(value)} entries, not {length}")
    for i, member in enumerate(value):
      form(member, f"{where}[{i}]")

  return check


def row(*forms: Form, more: Sequence[Form] = ()) -> Form:
  """A list of so many fields, each of its form; those of `more` may miss."""

  def check(value: Any, where: str):
    _list(value, where)
    if not 0 <= len(value) - len(forms) <= len(more):
      raise ValueError(f"{where} has {len(value)} entries, not {len(forms)}")
    for i, (form, member) in enumerate(
      zip([*forms, *more], value, strict=False)
    ):
      form(member, f"{where}[{i}]")

  return check


def named(form: Form, name_form: Form = text) -> Form:
  """An object with any names of a form."""

  def check(value: Any, where: str):
    _object(value, where)
    for name, member in value.items():
      name_form(name, f"a name in {where}")
      form(member, f"{where}.{name}")

  return check


def fields(
  forms: Mapping[str, Form], more: Mapping[str, Form] = MappingProxyType({})
) -> Form:
  """An object with exactly these names; those of `more` may miss."""

  def check(value: Any, where: str):
    _object(value, where or "it")
    for name, form in forms.items():
      if name not in value:
        raise ValueError(f"{where or 'it'} has no {name}")
      form(value[name], f"{where}.{name}".lstrip("."))
    for name, member in value.items():
      if name in more:
        more[name](member, f"{where}.{name}".lstrip("."))
      elif name not in forms:
        raise ValueError(
          f"{where or 'it'} has {_shown(name)}, which its format does not know"
        )

  return check


def _shown(value: Any) -> str:
  try:
    found = repr(value)
  except RecursionError:
    return "too deep"
  return found if len(found) <= _SHOWN else f"{found[:_SHOWN]}..."
