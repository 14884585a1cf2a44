"""The page of one run."""

from collections.abc import Sequence

from pwl_jax.report import (
  blocks,
  findings,
  folded,
  headline,
  phrases,
  precisions,
  tables,
)
from pwl_jax.report.drawing import Picture
from pwl_jax.report.results import Results
from pwl_jax.report.run import Run


def of_run(run: Run, pictures: Sequence[Picture]) -> str:
  results = run.results
  climb = findings.main_climb(results)
  open_tables = [tables.networks(results) if results["networks"] else None]
  open_tables.append(tables.loading(results))
  if climb:
    open_tables.append(tables.ladder(results, climb))
  closed = [folded.every_composition(results)]
  if run.precisions:
    open_tables.append(precisions.overview(run.precisions))
    closed.append(precisions.every_composition(run.precisions))
  closed += [
    folded.budgets(results),
    folded.units(results),
    folded.boundaries(results),
  ]
  return blocks.document(
    title=heading(results),
    parts=[
      _header(run),
      blocks.figures(headline.key_figures(results)),
      blocks.absent(results["absent"]),
      *map(blocks.of_picture, pictures),
      *(
        blocks.section(blocks.of_table(table)) for table in open_tables if table
      ),
      *(
        blocks.details(table.title, blocks.of_table(table, sortable=True))
        for table in closed
        if table
      ),
      blocks.details("Config", blocks.of_fields(results["config"])),
      _footer(results, pictures),
    ],
  )


def heading(results: Results) -> str:
  preset = results["config"].get("model.preset")
  name = results["data"].get("name", "unknown data")
  return f"{preset} on {name}" if preset else str(name)


def _header(run: Run) -> str:
  results, data = run.results, run.results["data"]
  facts = []
  if results["units"]:
    facts.append(phrases.number_of(len(results["units"]), "unit"))
  sizes = [
    f"{phrases.whole(data[split])} {use}"
    for split, use in (
      ("train", "to train on"),
      ("valid", "held out"),
      ("test", "to report on"),
    )
    if data.get(split) is not None
  ]
  if data.get("image"):
    told = (data.get(name) for name in ("image", "kind", "sample_rate"))
    sizes.append(phrases.examples(*told))
  if data.get("classes") is not None:
    sizes.append(phrases.number_of(data["classes"], "class", "classes"))
  if "seed" in results["config"]:
    facts.append(f"seed {results['config']['seed']}")
  facts += [str(results["devices"])] if results["devices"] else []
  lines = [", ".join(sizes), ", ".join(facts)]
  if results["compositions"]:
    lines.append(
      "Accuracies are those on test examples; held-out examples decided on "
      "the order of loading and on everything else that was chosen."
    )
  elif results["networks"]:
    where = findings.SPLIT_NAMES[findings.shown_split(results)]
    lines.append(f"Accuracies are those on {where}.")
  return blocks.header(
    f"pwl_jax · {run.name}", heading(results), filter(None, lines)
  )


def _footer(results: Results, pictures: Sequence[Picture]) -> str:
  versions = [
    f"{name} {results[name]}" for name in ("pwl_jax", "jax") if results[name]
  ]
  notes = [f"Measured with {' and '.join(versions)}."] if versions else []
  calibration = results["calibration"]
  if calibration:
    notes.append(
      f"Batch statistics were measured on {calibration['images']:,} training "
      f"examples and kept for {calibration['kept']} of {calibration['tried']} "
      f"compositions ({phrases.size(calibration['bytes'])})."
    )
  budget = results["budget"]
  if budget:
    notes.append(
      f"The best composition within {phrases.size(budget['bytes'])} is "
      f"{budget['composition']}."
    )
  names = [f"{picture.name}.png" for picture in pictures]
  if names:
    notes.append(f"The pictures lie beside this page: {', '.join(names)}.")
  return f"<footer>{blocks.text(' '.join(notes))}</footer>"
