"""The `config.json` that other ecosystems lay beside their weights."""

import contextlib
import json
import pathlib
from collections.abc import Collection, Iterator
from typing import Any


class ForeignConfig:
  """A JSON object whose missing or unknown fields are clear errors."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    try:
      self._fields = json.loads(path.read_text())
    except FileNotFoundError as error:
      raise FileNotFoundError(
        f"{path} is missing; give the directory that the model was saved to"
      ) from error
    except ValueError as error:
      raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(self._fields, dict):
      raise ValueError(f"{path} should hold a JSON object")

  def __getitem__(self, name: str) -> Any:
    if name not in self._fields:
      raise ValueError(
        f"{self.path} lacks {name!r}; it has {sorted(self._fields)}"
      )
    return self._fields[name]

  def get(self, name: str, default: Any) -> Any:
    """A field that writers leave out where it has its default."""
    return self._fields.get(name, default)

  def integer(self, name: str, default: int | None = None) -> int:
    """A positive whole number."""
    value = self[name] if default is None else self.get(name, default)
    return self._check(name, value, _is_count(value), "a positive integer")

  def index(self, name: str, default: int) -> int:
    """A whole number from 0."""
    value = self.get(name, default)
    good = _is_count(value) or (type(value) is int and value == 0)
    return self._check(name, value, good, "a whole number, at least 0")

  def integers(self, name: str) -> list[int]:
    """A list of positive whole numbers, at least one."""
    value = self[name]
    good = isinstance(value, list) and value and all(map(_is_count, value))
    return self._check(name, value, good, "a list of positive integers")

  def number(self, name: str, default: float) -> float:
    value = self.get(name, default)
    good = isinstance(value, int | float) and value > 0
    return self._check(name, value, good, "a positive number")

  def flag(self, name: str, default: bool | None = None) -> bool:
    value = self[name] if default is None else self.get(name, default)
    return self._check(name, value, isinstance(value, bool), "true or false")

  def choose(
    self, name: str, choices: Collection[str], default: str | None = None
  ) -> str:
    """One of a few words."""
    value = self[name] if default is None else self.get(name, default)
    good = isinstance(value, str) and value in choices
    return self._check(name, value, good, f"one of {sorted(choices)}")

  def side(self, name: str, default: int) -> tuple[int, int]:
    """Height and width, which one number stands for where they are equal."""
    value = self.get(name, default)
    pair = [value, value] if isinstance(value, int) else value
    good = isinstance(pair, list) and len(pair) == 2
    good = good and all(map(_is_count, pair))
    self._check(name, value, good, "a positive integer, or two")
    return tuple(pair)

  @property
  def num_classes(self) -> int:
    """Two classes are what writers leave out."""
    labels = self.get("id2label", None)
    if labels is None:
      return self.integer("num_labels", 2)
    good = isinstance(labels, dict) and labels
    return len(self._check("id2label", labels, good, "an object of names"))

  @contextlib.contextmanager
  def blamed(self) -> Iterator[None]:
    """Errors inside are about this file, and say so."""
    try:
      yield
    except ValueError as error:
      if str(self.path) in str(error):
        raise
      raise ValueError(f"{self.path}: {error}") from error

  def _check(self, name: str, value: Any, good: Any, expected: str) -> Any:
    if not good:
      raise ValueError(
        f"{self.path} has {name} {value!r}, which cannot be read here; it "
        f"should be {expected}"
      )
    return value


def _is_count(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value > 0
