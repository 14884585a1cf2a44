"""The `config.json` that other ecosystems lay beside their weights."""

import json
import pathlib
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

  def choose(self, name: str, choices: dict[str, Any]) -> Any:
    """What a field's value stands for."""
    value = self[name]
    if value not in choices:
      raise ValueError(
        f"{self.path} has {name} {value!r}, which cannot be read here; it "
        f"must be one of {sorted(choices)}"
      )
    return choices[value]

  @property
  def num_classes(self) -> int:
    """Two classes are what writers leave out."""
    if "id2label" in self._fields:
      return len(self._fields["id2label"])
    return self.get("num_labels", 2)
