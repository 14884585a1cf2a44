"""The tables that are folded: every composition, memory, units, converters."""

from pwl_jax.report import findings, phrases
from pwl_jax.report.results import Results
from pwl_jax.report.table import Cell, Table, accuracy, filled


def every_composition(results: Results) -> Table | None:
  scores = findings.shown_scores(results)
  if not scores:
    return None
  columns = ("composition", "teacher units", "bytes", "operations", "test")
  columns += ("95 % interval", "top 5", "loss", "held out")
  columns += ("test, not calibrated",)
  rows = []
  for word, score in scores.items():
    found = results["compositions"][word]
    units = findings.teacher_units(word)
    rows.append(
      (
        Cell(word),
        Cell(str(units), units),
        Cell(phrases.size(found["bytes"]), found["bytes"]),
        Cell(phrases.operations(found["flops"]), found["flops"]),
        accuracy(found["test"]),
        Cell(phrases.interval(score), score["interval"][0]),
        accuracy(score, "top5"),
        Cell(phrases.loss(score["loss"]), score["loss"]),
        accuracy(found["valid"]),
        accuracy((found["uncalibrated"] or {}).get("test")),
      )
    )
  return filled("All compositions", columns, rows)


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
        Cell(phrases.whole(unit[role]["width"]), unit[role]["width"]),
      ]
    converter = (unit["converter"] or {}).get("bytes")
    row.append(Cell(phrases.size(converter), converter))
    rows.append(tuple(row))
  own = ("parameters", "bytes", "width")
  columns = (
    "unit",
    *(f"teacher {name}" for name in own),
    *(f"student {name}" for name in own),
    "converter behind it",
  )
  return filled("Units", columns, rows)


def budgets(results: Results) -> Table | None:
  rows = []
  for step in results["budgets"]:
    found = results["compositions"][step["composition"]]
    rows.append(
      (
        Cell(phrases.size(step["bytes"]), step["bytes"]),
        Cell(step["composition"]),
        accuracy(found["test"]),
        accuracy(found["valid"]),
      )
    )
  columns = ("from this memory on", "the best is", "test", "held out")
  title = "Best composition by memory"
  return filled(title, columns, rows, {1}) if rows else None


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
  return filled("Converters fitted anew", columns, rows, {0, 3})
