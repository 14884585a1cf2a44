"""Amounts as people write them: "20MB/s", "1.5 GB/s", "500k", "200/s"."""

import re

_AMOUNT = re.compile(
  r"(?P<number>\d+(\.\d*)?|\.\d+) ?"
  r"((?P<prefix>[kmgt])(?P<binary>i?))?b?(?P<each>/s)?",
  re.IGNORECASE,
)
_MOST = 1e18  # Bytes; more is a slip.
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def nbytes(what: str, text: str) -> int:
  """500k -> 500,000; thousands, but for 1 KiB, which is 1,024."""
  found = _AMOUNT.fullmatch(text.strip())
  value = _value(found) if found and not found["each"] else 0
  if not 1 <= value <= _MOST:
    raise _refused(what, text, "bytes, such as 20MB, 1.5 GB or 500k")
  return round(value)


def bytes_per_second(what: str, text: str) -> float:
  """The "/s" may be left out."""
  found = _AMOUNT.fullmatch(text.strip())
  value = _value(found) if found else 0
  if not 1 <= value <= _MOST:
    raise _refused(
      what, text, "bytes per second, such as 20MB/s, 1.5 GB/s or 500k"
    )
  return value


def per_second(what: str, text: str) -> float:
  """200/s -> 200; the "/s" may be left out."""
  try:
    value = float(text.strip().removesuffix("/s"))
  except ValueError:
    value = 0.0
  if not 1e-3 <= value <= 1e6:
    raise _refused(
      what,
      text,
      "how many a second, such as 200/s or 0.5/s, from 0.001 to 1,000,000",
    )
  return value


def _value(found: re.Match) -> float:
  base = 1024 if found["binary"] else 1000
  power = _POWER[(found["prefix"] or "").lower()]
  return float(found["number"]) * base**power


def _refused(what: str, text: str, allowed: str) -> ValueError:
  return ValueError(f"{what} is {text!r}; give {allowed}")
