"""The fields of a manifest as JSON has them: names, types, ranges.

Whether they fit one another is for `valid` to judge.
"""

import re
from typing import Any

from pwl_jax.bundle import forms, inputs, parts

_PATHS = (f"{parts.WEIGHTS}/", f"{parts.CALIBRATION}/")


def _is_path(value: Any) -> bool:
  """Of a file of the store, which lies in the bundle."""
  return (
    forms.is_text(value)
    and value.startswith(_PATHS)
    and "\0" not in value
    and not {"", ".", ".."} & set(value.split("/"))
  )


def _is_leaf_name(value: Any) -> bool:
  return forms.is_text(value) and "\0" not in value and all(value.split("/"))


_digest = forms.of(
  lambda value: (
    isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
  ),
  "a sha256 in 64 hexadecimal digits",
)
_leaf = forms.row(
  forms.one_of(parts.ITEMSIZES),
  forms.listed(forms.whole(0)),
  _digest,
  more=[forms.maybe(forms.whole(0)), forms.number],
)
_piece = forms.fields(
  {
    "leaves": forms.named(
      _leaf, forms.of(_is_leaf_name, "a path of names, such as params/kernel")
    ),
    "programs": forms.named(
      _digest, forms.one_of((parts.RUN, parts.ENCODE, parts.DECODE))
    ),
  },
  more={"made_of": forms.listed(forms.text)},
)
_composition = forms.fields(
  {
    "nbytes": forms.whole(0),
    "valid": forms.maybe(forms.share),
    "test": forms.maybe(forms.share),
    "calibrated": forms.flag,
  }
)
_INPUTS = {
  "images": {
    "image": forms.listed(forms.whole(1), 3),
    "mean": forms.listed(forms.number),
    "deviation": forms.listed(forms.positive),
    "resize": forms.one_of(inputs.RESIZES),
  },
  "texts": {"length": forms.whole(1), "tokenizer": forms.text},
  "sounds": {"samples": forms.whole(1), "sample_rate": forms.whole(1)},
}
_kind = forms.one_of(_INPUTS)


def _input(value: Any, where: str):
  """Fields that its kind has; images need not say that they are."""
  named = isinstance(value, dict) and "kind" in value
  kind = value["kind"] if named else inputs.ImageInput.kind
  _kind(kind, f"{where}.kind")
  told = {"kind": _kind} if named else {}
  forms.fields({**told, **_INPUTS[kind]})(value, where)


_manifest = forms.fields(
  {
    "num_units": forms.whole(1),
    "input": _input,
    "class_names": forms.listed(forms.text),
    "store": forms.one_of(parts.STORES),
    "pieces": forms.named(_piece),
    "compositions": forms.named(_composition),
    "ladder": forms.listed(forms.text),
    "config": forms.named(forms.anything),
    "versions": forms.named(forms.text),
    "platforms": forms.listed(forms.text),
    "files": forms.named(
      _digest, forms.of(_is_path, "a path in weights/ or calibration/")
    ),
  }
)


def check(fields: Any):
  """Raises unless fields of a manifest have the form of one."""
  _manifest(fields, "")
