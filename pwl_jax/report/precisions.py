"""`precisions.json`: what units in fewer bits save, and what they cost.

The stage `precisions` writes it; docs/report.md names its fields.
"""

import itertools
import json
import pathlib
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType

from pwl_jax.method import composition as compositions
from pwl_jax.report import forms, phrases, stages
from pwl_jax.report.forms import fields, listed, maybe, named
from pwl_jax.report.table import Cell, Table, accuracy, filled
from pwl_jax.report.terminal import Fitted, Sentence

NAME, SCHEMA = "precisions.json", 1
WITHIN = 0.005  # Of the teacher's accuracy: what counts as good as it.
AGAIN = "--config.stages=precisions makes it again"
MOST_WORDS = 256  # Compositions in a table.

Compared = dict[str, Any]

_accuracies = {"valid": maybe(forms.share), "test": maybe(forms.share)}
_form = fields(
  {
    "of": forms.anything,
    "fit_examples": forms.whole,
    "teacher": fields(_accuracies),
    "rows": listed(
      fields(
        {
          "precision": forms.text,
          "rungs": listed(
            fields({"composition": forms.text, "read_bytes": forms.whole})
          ),
          "compositions": named(fields({"bytes": forms.whole, **_accuracies})),
        }
      )
    ),
  }
)


def read(path: pathlib.Path) -> Compared:
  """Reads and checks; the error is one line that says what to do."""
  try:
    found = json.loads(path.read_bytes())
    check(found)
  except (ValueError, RecursionError) as error:
    reason = textwrap.shorten(str(error), 200, placeholder=" ...")
    raise ValueError(f"{path} is damaged ({reason}); {AGAIN}") from None
  return found


def check(found: Any):
  """Raises where something is missing or does not belong together."""
  fields({"schema": forms.whole})(found, "")
  if found["schema"] != SCHEMA:
    raise ValueError(f"schema {found['schema']}, where {SCHEMA} is known")
  _form(found, "")
  if not found["rows"]:
    raise ValueError("rows is empty")
  names = [row["precision"] for row in found["rows"]]
  if len(set(names)) < len(names):
    raise ValueError(f"rows has a precision twice: {', '.join(names)}")
  if found["teacher"][split_of(found)] is None:
    raise ValueError("the teacher was not measured")
  first = _words(found["rows"][0])
  num_units = len(first[0]) if first else 0
  for row in found["rows"]:
    _check_row(row, num_units, split_of(found))


def _words(row: Mapping[str, Any]) -> list[str]:
  return [rung["composition"] for rung in row["rungs"]]


def _check_row(row: Mapping[str, Any], num_units: int, split: str):
  name, words = row["precision"], _words(row)
  for word in {*words, *row["compositions"]}:
    compositions.validate(word, num_units, range(num_units))
  if len(words) < 2 or not all(
    compositions.climbs(a, b) for a, b in itertools.pairwise(words)
  ):
    raise ValueError(f"the ladder of {name} does not climb: {words}")
  for word in {*words, *row["compositions"]}:
    score = row["compositions"].get(word)
    if score is None or score[split] is None:
      raise ValueError(f"{word} in {name} was not measured")
  sizes = [rung["read_bytes"] for rung in row["rungs"]]
  if sizes != sorted(sizes):
    raise ValueError(f"the bytes of {name} fall: {sizes}")


def of_run(workdir: pathlib.Path, path: pathlib.Path) -> Compared:
  """Of the evaluation that is there now."""
  found = read(path)
  now = stages.read_object(workdir / stages.EVALUATION / stages.RESULT)
  of = found["of"] if isinstance(found["of"], dict) else {}
  if now and of.get("evaluate") != now.get("digest"):
    raise ValueError(f"{path} is of an earlier evaluation; {AGAIN}")
  return found


def split_of(found: Compared) -> str:
  """Test examples, or held-out ones where there are no others."""
  return "valid" if found["teacher"]["test"] is None else "test"


def as_good_from(found: Compared, row: Mapping[str, Any]) -> int | None:
  """The rung from which on all answer about as well as the teacher, if any."""
  split = split_of(found)
  least = found["teacher"][split] - WITHIN
  values = [row["compositions"][word][split] for word in _words(row)]
  good = len(list(itertools.takewhile(lambda v: v >= least, values[::-1])))
  return len(values) - good if good else None


def summary(found: Compared) -> RenderableType:
  """For a terminal."""
  return Group(Fitted(overview(found)), Sentence(explained(found)))


def explained(found: Compared) -> str:
  fitted = found["fit_examples"]
  scales = (
    f"Scales were fitted on {fitted:,} training examples."
    if fitted
    else "Every kernel was rounded by itself."
  )
  return (
    "Bytes are those of weights to be read, from the first one on: the "
    "student, then what the best ladder loads. As good as the teacher is what "
    f"answers at most {phrases.points(WITHIN)} worse than the teacher in "
    f"float32, and so does all that comes after it. {scales}"
  )


def overview(found: Compared) -> Table:
  """A row for every precision."""
  split = split_of(found)
  columns = ("precision", "first answer", "as good as the teacher", "from")
  columns += ("everything", "student", "teacher", "worst", "mean of all")
  rows = []
  for row in found["rows"]:
    scores = {w: c[split] for w, c in row["compositions"].items()}
    rungs, good = row["rungs"], as_good_from(found, row)
    reached = rungs[good] if good is not None else None
    cells = [Cell(row["precision"]), _bytes(rungs[0])]
    cells += [
      _bytes(reached) if reached else Cell(phrases.NOTHING),
      Cell(reached["composition"] if reached else phrases.NOTHING),
      _bytes(rungs[-1]),
      _share(scores[rungs[0]["composition"]]),
      _share(scores[rungs[-1]["composition"]]),
      _share(min(scores.values())),
      _share(sum(scores.values()) / len(scores)),
    ]
    rows.append(tuple(cells))
  return filled("Fewer bits", columns, rows, {0, 3})


def every_composition(found: Compared) -> Table:
  """A column for every precision; where it has no such composition, none."""
  split = split_of(found)
  words = sorted(
    {word for row in found["rows"] for word in row["compositions"]},
    key=lambda word: (compositions.height(word), word),
  )
  rows = [
    (
      Cell(word),
      *(
        accuracy(row["compositions"].get(word), split) for row in found["rows"]
      ),
    )
    for word in words[:MOST_WORDS]
  ]
  columns = ("composition", *(row["precision"] for row in found["rows"]))
  return filled("Every composition in every precision", columns, rows)


def courses(
  found: Compared,
) -> Iterator[tuple[str, list[tuple[int, float, str]]]]:
  """Of every precision: from how many bytes on how well which one answers."""
  split = split_of(found)
  for row in found["rows"]:
    yield (
      row["precision"],
      [
        (
          rung["read_bytes"],
          row["compositions"][rung["composition"]][split],
          rung["composition"],
        )
        for rung in row["rungs"]
      ],
    )


def _bytes(rung: Mapping[str, Any]) -> Cell:
  return Cell(phrases.size(rung["read_bytes"]), rung["read_bytes"])


def _share(value: float) -> Cell:
  return Cell(phrases.percent(value), value)
