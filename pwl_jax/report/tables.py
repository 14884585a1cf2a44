"""The tables of a report, as text, for the page and the terminal alike."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.method import composition as compositions
from pwl_jax.report import findings, phrases
from pwl_jax.report.results import Results

WIDEST_WORD = 8  # Longer compositions are left out of narrow columns.


class Cell(NamedTuple):
  """Text, what it is sorted by, and whether it stands for a step down."""

  text: str
  value: float | None = None
  is_down: bool = False


class Table(NamedTuple):
  """The first column names its row; `words` are the columns that are text."""

  title: str
  columns: tuple[str, ...]
  rows: list[tuple[Cell, ...]]
  words: frozenset[int] = frozenset({0})


def networks(results: Results) -> Table:
  """Every network alone, from the least to the most able."""
  has_test = findings.shown_split(results) == "test"
  has_top5 = any(
    score["top5"] is not None
    for name in findings.network_names(results)
    if (score := findings.score_of(results, results["networks"][name]))
  )
  columns = ["network", "parameters", "bytes", "operations"]
  columns += ["test", "95 % interval"] if has_test else []
  columns += ["top 5"] if has_top5 else []
  columns += ["loss", "held out"]
  rows = []
  for name in findings.network_names(results):
    found = results["networks"][name]
    score = findings.score_of(results, found)
    row = [
      Cell(phrases.NAMES[name]),
      Cell(phrases.whole(found["parameters"]), found["parameters"]),
      Cell(phrases.size(found["bytes"]), found["bytes"]),
      Cell(phrases.operations(found.get("flops")), found.get("flops")),
    ]
    row += [accuracy(score), Cell(phrases.interval(score))] if has_test else []
    row += [accuracy(score, "top5")] if has_top5 else []
    row += [Cell(phrases.loss(score["loss"])), accuracy(found["valid"])]
    rows.append(tuple(row))
  return Table("Networks", tuple(columns), rows)


def accuracy(score: Mapping[str, Any] | None, key: str = "top1") -> Cell:
  value = score and score.get(key)
  return Cell(phrases.percent(value), value)


def loading(results: Results) -> Table | None:
  """Accuracy by the number of teacher units: a column per order."""
  climbs, scores = findings.climbs(results), findings.shown_scores(results)
  if not climbs:
    return None
  runs = [w for w in results["families"].get("contiguous", ()) if w in scores]
  rows = []
  for k in range(len(results["units"]) + 1):
    row = [Cell(str(k), k)]
    for climb in climbs.values():
      is_down = k > 0 and climb.steps[k - 1] < 0
      text = _rung(climb.ladder["rungs"][k], climb)
      value = climb.scores[k]["top1"]
      row.append(Cell(text + phrases.percent(value), value, is_down))
    if runs:
      row.append(_range([scores[w]["top1"] for w in runs if w.count("T") == k]))
    rows.append(tuple(row))
  columns = ("teacher units", *climbs, *(["contiguous"] if runs else []))
  return Table("While loading", columns, rows, frozenset())


def _rung(word: str, climb: findings.Climb) -> str:
  """The other orders say themselves which composition it is."""
  named = climb.name == "planned" and len(word) <= WIDEST_WORD
  return f"{word}  " if named else ""


def _range(values: Sequence[float]) -> Cell:
  if not values:
    return Cell(phrases.NOTHING)
  low, high = min(values), max(values)
  if low == high:
    return Cell(phrases.percent(low), low)
  text = phrases.interval({"interval": (low, high)})
  return Cell(f"{text} %", low)


def ladder(results: Results, climb: findings.Climb) -> Table:
  """Rung by rung: what is loaded, what is held, and what answers."""
  seconds = climb.ladder.get("loaded_seconds")
  columns = ["rung", "loads", "teacher loaded", "held in memory"]
  columns += ["time"] if seconds else []
  columns += ["test", "95 % interval", "step", "held out"]
  rows = []
  for k, (word, score) in enumerate(
    zip(climb.ladder["rungs"], climb.scores, strict=True)
  ):
    found = results["compositions"][word]
    step = climb.steps[k - 1] if k else 0.0
    loaded = climb.ladder["loaded_bytes"][k]
    unit = f"unit {climb.ladder['order'][k - 1]}" if k else "the student"
    row = [
      Cell(word),
      Cell(unit),
      Cell(phrases.size(loaded), loaded),
      Cell(phrases.size(found["bytes"]), found["bytes"]),
    ]
    row += [Cell(phrases.seconds(seconds[k]), seconds[k])] if seconds else []
    row += [
      accuracy(score),
      Cell(phrases.interval(score)),
      Cell(phrases.signed(step) if k else phrases.NOTHING, step, step < 0),
      accuracy(found["valid"]),
    ]
    rows.append(tuple(row))
  title = f"The {climb.name} order, rung by rung"
  return Table(title, tuple(columns), rows, frozenset({0, 1}))


def every_composition(results: Results) -> Table | None:
  scores = findings.shown_scores(results)
  if not scores:
    return None
  has_own = any(
    found.get("uncalibrated") for found in results["compositions"].values()
  )
  columns = ["composition", "teacher units", "bytes", "operations", "test"]
  columns += ["95 % interval", "loss", "held out"]
  columns += ["test, not calibrated"] if has_own else []
  rows = []
  for word, score in scores.items():
    found = results["compositions"][word]
    units = word.count(compositions.TEACHER)
    row = [
      Cell(word),
      Cell(str(units), units),
      Cell(phrases.size(found["bytes"]), found["bytes"]),
      Cell(phrases.operations(found.get("flops")), found.get("flops")),
      accuracy(score),
      Cell(phrases.interval(score), score["interval"][0]),
      Cell(phrases.loss(score["loss"]), score["loss"]),
      accuracy(found["valid"]),
    ]
    if has_own:
      row.append(accuracy((found.get("uncalibrated") or {}).get("test")))
    rows.append(tuple(row))
  return Table("All compositions", tuple(columns), rows)


def units(results: Results) -> Table | None:
  if not results["units"]:
    return None
  rows = []
  for i, unit in enumerate(results["units"]):
    row = [Cell(f"unit {i}", i)]
    for role in ("teacher", "student"):
      row += [
        Cell(phrases.whole(unit[role]["parameters"]), unit[role]["parameters"]),
        Cell(phrases.size(unit[role]["bytes"]), unit[role]["bytes"]),
        Cell(phrases.whole(unit[role].get("width")), unit[role].get("width")),
      ]
    converter = (unit.get("converter") or {}).get("bytes")
    row.append(Cell(phrases.size(converter), converter))
    rows.append(tuple(row))
  own = ("parameters", "bytes", "width")
  columns = (
    "unit",
    *(f"teacher {name}" for name in own),
    *(f"student {name}" for name in own),
    "converter behind it",
  )
  return Table("Units", columns, rows)


def budgets(results: Results) -> Table | None:
  scores = findings.shown_scores(results)
  rows = [
    (
      Cell(phrases.size(step["bytes"]), step["bytes"]),
      Cell(step["composition"]),
      accuracy(scores.get(step["composition"])),
      accuracy(results["compositions"][step["composition"]]["valid"]),
    )
    for step in results["budgets"]
  ]
  columns = ("from this memory on", "the best is", "test", "held out")
  title = "Best composition by memory"
  return Table(title, columns, rows, frozenset({1})) if rows else None


def boundaries(results: Results) -> Table | None:
  """What fitting the converters anew did, where it was tried."""
  refit = results["refit"]
  if not refit or not refit["boundaries"]:
    return None
  rows = [
    (
      Cell(f"boundary {found['boundary']}", found["boundary"]),
      accuracy(found, "before"),
      accuracy(found, "after"),
      Cell("kept" if found["kept"] else "not kept"),
    )
    for found in refit["boundaries"]
  ]
  columns = ("converter", "held out before", "after", "the new one is")
  return Table("Converters fitted anew", columns, rows, frozenset({0, 3}))
