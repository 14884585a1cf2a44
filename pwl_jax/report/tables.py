"""The tables that stand open: networks, and what answers while loading."""

from collections.abc import Sequence

from pwl_jax.report import findings, phrases
from pwl_jax.report.results import Results
from pwl_jax.report.table import Cell, Table, accuracy, filled

WIDEST_WORD = 8  # Longer compositions are left out of narrow columns.


def networks(results: Results) -> Table:
  """Every network alone, from the least to the most able."""
  columns = ("network", "parameters", "bytes", "operations", "test")
  columns += ("95 % interval", "top 5", "loss", "held out")
  rows = []
  for name in findings.network_names(results):
    found = results["networks"][name]
    score = findings.score_of(results, found)
    rows.append(
      (
        Cell(phrases.NAMES[name]),
        Cell(phrases.whole(found["parameters"]), found["parameters"]),
        Cell(phrases.size(found["bytes"]), found["bytes"]),
        Cell(phrases.operations(found["flops"]), found["flops"]),
        accuracy(found["test"]),
        Cell(phrases.interval(score)),
        accuracy(score, "top5"),
        Cell(phrases.loss(score["loss"])),
        accuracy(found["valid"]),
      )
    )
  return filled("Networks", columns, rows)


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
      row.append(
        _range(
          [scores[w]["top1"] for w in runs if findings.teacher_units(w) == k]
        )
      )
    rows.append(tuple(row))
  columns = ("teacher units", *climbs, *(["contiguous"] if runs else []))
  return filled("While loading", columns, rows, ())


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
      accuracy(found["test"]),
      Cell(phrases.interval(score)),
      Cell(phrases.signed(step) if k else phrases.NOTHING, step, step < 0),
      accuracy(found["valid"]),
    ]
    rows.append(tuple(row))
  title = f"The {climb.name} order, rung by rung"
  return filled(title, columns, rows, {0, 1})
