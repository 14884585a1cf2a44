"""`play.json`: what happened while a bundle was served and upgraded.

`python -m pwl_jax.play` writes it; docs/serving.md names every field.
"""

import hashlib
import json
import pathlib
import textwrap
from typing import Any

from pwl_jax.method import composition as compositions
from pwl_jax.report import forms, phrases
from pwl_jax.report.forms import fields, listed, maybe

SCHEMA = 1
NAME = "play.json"
MANIFEST = "manifest.json"  # Of a bundle.
AGAIN = "python -m pwl_jax.play with its --bundle makes it again"

STREAM = {
  "composition": forms.text,
  "requests": forms.whole,
  "accuracy": maybe(forms.share),
  "p50_ms": maybe(forms.amount),
  "p99_ms": maybe(forms.amount),
}
FORM = fields(
  {
    "bundle": forms.text,
    "manifest_sha256": forms.text,
    "data": forms.text,
    "kind": forms.text,
    "device": forms.text,
    "bandwidth": maybe(forms.amount),
    "requests_per_s": forms.amount,
    "batch": forms.whole,
    "threads": forms.whole,
    "policy": forms.text,
    "budget": maybe(forms.whole),
    "caches": forms.text,
    "seconds": forms.amount,
    "interrupted": forms.flag,
    "error": forms.text,
    "failed_requests": forms.whole,
    "unanswered_requests": forms.whole,
    "first_answer_seconds": maybe(forms.amount),
    "teacher_plainly": maybe(fields({"seconds": forms.amount})),
    "rungs": listed(
      fields(
        {
          **STREAM,
          "seconds": forms.amount,
          "resident_bytes": forms.whole,
          "valid_accuracy": maybe(forms.share),
          "test_accuracy": maybe(forms.share),
        }
      )
    ),
    "bins": listed(
      fields(
        {
          **STREAM,
          **dict.fromkeys(("from", "until", "p50_ms", "p99_ms"), forms.amount),
        }
      )
    ),
  },
  optional=["kind"],  # There were only images at first.
)

Served = dict[str, Any]


def read(path: pathlib.Path) -> Served:
  """Reads and checks; the error is one line that says what to do."""
  try:
    found = json.loads(path.read_bytes())
    schema = found.get("schema") if isinstance(found, dict) else None
    if forms.is_whole(schema) and schema > SCHEMA:
      raise _Newer(
        f"{path} has schema {schema}, written by a newer pwl_jax; this one "
        f"reads schema {SCHEMA}: update pwl_jax"
      )
    check(found)
  except FileNotFoundError:
    raise FileNotFoundError(f"{path} is missing; {AGAIN}") from None
  except _Newer:
    raise
  except (ValueError, RecursionError) as error:
    reason = textwrap.shorten(str(error), 200, placeholder=" ...")
    raise ValueError(f"{path} is damaged ({reason}); {AGAIN}") from None
  return found


class _Newer(ValueError):
  pass


def check(found: Any):
  """Raises where something is missing or does not belong together."""
  fields({"schema": forms.whole})(found, "")
  if found["schema"] != SCHEMA:
    raise ValueError(f"schema {found['schema']}, where {SCHEMA} is known")
  FORM(found, "")
  for name in ("batch", "requests_per_s"):
    if not found[name]:
      raise ValueError(f"{name} is 0")
  words = [rung["composition"] for rung in found["rungs"]]
  for word in words:
    compositions.validate(word, len(words[0]), range(len(words[0])))
  for part in found["bins"]:
    if part["composition"] not in words or not part["requests"]:
      raise ValueError(f"bins have {part}")
  answered = found["first_answer_seconds"] is not None
  if answered != bool(found["bins"]) or (answered and not words):
    raise ValueError("some answers are there, and others are not")
  _check_times(found)


def _check_times(found: Served):
  """Nothing is before its time, or after the end."""
  end, bins = found["seconds"], found["bins"]
  times = [rung["seconds"] for rung in found["rungs"]]
  if times != sorted(times):
    raise ValueError(f"rungs are not in order: {times}")
  if times and times[-1] > end:
    raise ValueError(f"a rung comes at {times[-1]}, after the end at {end}")
  begins = [part["from"] for part in bins]
  if begins != sorted(begins):
    raise ValueError(f"bins are not in order: {begins}")
  if bins and found["first_answer_seconds"] > begins[0]:
    raise ValueError(f"a bin begins before the first answer: {bins[0]}")
  ends: dict[str, float] = {}  # Those of one composition follow each other.
  for part in bins:
    if part["until"] < part["from"]:
      raise ValueError(f"a bin ends before it begins: {part}")
    if part["from"] < ends.get(part["composition"], 0.0):
      raise ValueError(f"a bin begins within the one before: {part}")
    if part["until"] > end:
      raise ValueError(f"a bin ends after the end at {end}: {part}")
    ends[part["composition"]] = part["until"]


def of_run(workdir: pathlib.Path, path: pathlib.Path) -> Served:
  """Of a bundle that lies in the workdir as it does now, if it is there."""
  found = read(path)
  name = pathlib.PurePath(found["bundle"]).name
  try:
    written = (workdir / name / MANIFEST).read_bytes()
  except OSError:
    return found
  if hashlib.sha256(written).hexdigest() != found["manifest_sha256"]:
    raise ValueError(
      f"{path} is of another bundle than the one that is there now; {AGAIN}"
    )
  return found


def shown_accuracy(found: Served) -> str | None:
  """What all rungs have: measured on test examples, or else on held-out ones,
  or else on the stream itself."""
  for name in ("test_accuracy", "valid_accuracy", "accuracy"):
    if all(rung[name] is not None for rung in found["rungs"]):
      return name
  return None


def kind(found: Served) -> str:
  """What it was asked about: images, texts or sounds."""
  return found.get("kind") or "examples"


def first_answer(found: Served) -> str | None:
  """How long somebody waited, and how long they would have."""
  seconds, alone = found["first_answer_seconds"], found["teacher_plainly"]
  if seconds is None:
    return None
  text = f"The first answer came after {phrases.seconds(seconds)}"
  if alone:
    text += (
      ", the teacher alone would have taken "
      f"{phrases.seconds(alone['seconds'])}"
    )
  return text


def sentences(found: Served) -> list[str]:
  first = first_answer(found)
  if not first:
    return ["No request was answered."]
  last = found["rungs"][-1]
  total = sum(rung["requests"] for rung in found["rungs"])
  counts = [f"{total:,} answered", f"{found['failed_requests']:,} failed"]
  if found["unanswered_requests"]:
    counts.append(f"{found['unanswered_requests']:,} due and not answered yet")
  return [
    f"{first}.",
    f"{last['composition']} was served from "
    f"{phrases.seconds(last['seconds'])} on. "
    f"Requests: {', '.join(counts)}.",
  ]
