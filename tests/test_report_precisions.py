"""What fewer bits come to: the file, its tables and picture, and the stage."""

import copy
import json

import pytest
from report_cases import make_results
from report_runs import write_run

from pwl_jax import stages
from pwl_jax.method import composition as compositions
from pwl_jax.report import fewer_bits, precisions, write_report
from pwl_jax.report import run as runs
from pwl_jax.report.drawing import NARROW, to_png, to_svg
from tests.tiny_config import get_config


def row(name, sizes, accuracies, words):
  return {
    "precision": name,
    "rungs": [
      {"composition": word, "read_bytes": size}
      for word, size in zip(words, sizes, strict=True)
    ],
    "compositions": {
      word: {"bytes": size, "valid": a, "test": a}
      for word, size, a in zip(words, sizes, accuracies, strict=True)
    },
  }


def make_compared(**changes):
  return {
    "schema": precisions.SCHEMA,
    "of": {"evaluate": "e", "fields": {}},
    "fit_examples": 0,
    "teacher": {"valid": 0.9, "test": 0.9},
    "rows": [
      row("float32", [100, 500, 900], [0.6, 0.8, 0.9], ["SS", "TS", "TT"]),
      row("int8", [30, 130, 230], [0.6, 0.8, 0.89], ["SS", "TS", "TT"]),
      row(
        "int8+float32",
        [30, 130, 230, 700, 800],
        [0.6, 0.896, 0.81, 0.895, 0.9],
        ["SS", "tS", "tt", "Tt", "TT"],
      ),
    ],
    **changes,
  }


def write_beside(workdir, compared):
  (workdir / "evaluate" / "result.json").write_text(json.dumps({"digest": "e"}))
  path = workdir / "report" / precisions.NAME
  path.write_text(json.dumps(compared))
  return path


def test_as_good_as_the_teacher_is_what_stays_so():
  found = make_compared()
  first = [precisions.as_good_from(found, row) for row in found["rows"]]
  assert first == [2, None, 3]  # "tS" alone does not stay so.
  found["teacher"]["test"] = 0.7
  first = [precisions.as_good_from(found, row) for row in found["rows"]]
  assert first == [1, 1, 1]


def test_the_tables_have_every_precision_and_every_composition():
  found = make_compared()
  precisions.check(found)
  table = precisions.overview(found)
  assert [row[0].text for row in table.rows] == [
    "float32", "int8", "int8+float32"
  ]  # fmt: skip
  cells = dict(zip(table.columns, table.rows[2], strict=True))
  assert cells["first answer"].value == 30
  assert cells["as good as the teacher"].value == 700
  assert cells["from"].text == "Tt"
  assert cells["everything"].value == 800
  assert cells["worst"].value == 0.6
  assert table.rows[1][2].text == "–"  # noqa: RUF001
  table = precisions.every_composition(found)
  assert [row[0].text for row in table.rows] == [
    "SS", "tS", "TS", "tt", "Tt", "TT"
  ]  # fmt: skip
  assert table.columns[1:] == ("float32", "int8", "int8+float32")
  assert [cell.value for cell in table.rows[2][1:]] == [0.8, 0.8, None]


def test_the_page_and_the_pictures_have_it(tmp_path):
  workdir = write_run(tmp_path / "run", make_results())
  write_beside(workdir, make_compared())
  page = write_report(workdir).read_text()
  assert "Fewer bits" in page and "int8+float32" in page
  assert "Every composition in every precision" in page
  assert (workdir / "report" / "fewer_bits.png").exists()
  (workdir / "report" / precisions.NAME).unlink()
  page = write_report(workdir).read_text()
  assert "int8+float32" not in page
  assert not (workdir / "report" / "fewer_bits.png").exists()


def test_the_picture_says_what_was_won():
  found = make_compared()
  found["teacher"]["test"] = 0.7
  picture = fewer_bits.picture(found)
  assert picture.title.startswith("int8 is as good as the teacher after 130 B")
  assert "tS answers 89.60 % right from 130 B on" in to_svg(picture, NARROW)
  assert to_png(picture).startswith(b"\x89PNG")
  many = [{**found["rows"][0], "precision": f"p{i}"} for i in range(20)]
  assert to_png(fewer_bits.picture({**found, "rows": many}))


def test_that_of_an_earlier_evaluation_is_left_out_and_named(tmp_path):
  workdir = write_run(tmp_path / "run", make_results())
  write_beside(workdir, make_compared(of={"evaluate": "another"}))
  found = runs.read(workdir)
  assert found.precisions is None
  assert (
    "earlier evaluation; --config.stages=precisions"
    in (found.results["absent"]["precisions"])
  )


SCORE = {"bytes": 1, "valid": 0.5, "test": 0.5}


def broken():
  found = make_compared()
  yield "was not measured", {
    **found, "teacher": {"valid": None, "test": None}
  }  # fmt: skip
  yield "schema", {**found, "schema": 99}
  yield "rows is empty", {**found, "rows": []}
  for what, change in (
    ("was not measured", lambda r: r["compositions"].pop("TS")),
    ("does not climb", lambda r: r.update(rungs=r["rungs"][:1])),
    ("does not climb", lambda r: r["rungs"].reverse()),
    ("does not fit", lambda r: r.update(rungs=[])),
    ("fall", lambda r: r["rungs"][1].update(read_bytes=10)),
    ("was not measured", lambda r: r["compositions"]["TS"].update(test=None)),
    ("does not fit", lambda r: r["compositions"].update(xyz=dict(SCORE))),
    ("has a precision twice", lambda r: r.update(precision="int8")),
    ("does not fit", lambda r: r["rungs"][1].update(composition="TSS")),
    ("share|from 0 to 1", lambda r: r["compositions"]["TS"].update(test=2)),
  ):
    other = copy.deepcopy(found)
    change(other["rows"][0])
    yield what, other


@pytest.mark.parametrize("what,found", [*broken()])
def test_what_is_damaged_is_named_in_a_line(tmp_path, what, found):
  path = tmp_path / precisions.NAME
  path.write_text(json.dumps(found))
  with pytest.raises(ValueError, match=what) as caught:
    precisions.read(path)
  assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_the_stage_measures_what_bundles_would_serve(tmp_path, capsys):
  config, workdir = get_config(), tmp_path / "run"
  config.stages = "teacher,distill,evaluate,precisions"
  config.precisions = "float32, int8,int4+float32"
  stages.run(config, workdir)
  path = workdir / "report" / precisions.NAME
  found, written = precisions.read(path), path.read_bytes()
  exact, int8, coarse = found["rows"]
  assert exact["compositions"].keys() == {*compositions.every(3)}
  assert coarse["compositions"].keys() == {*compositions.every(3, range(3))}
  first = [row["rungs"][0]["read_bytes"] for row in found["rows"]]
  assert first[2] < first[1] < first[0]
  assert coarse["rungs"][-1]["read_bytes"] < exact["rungs"][-1]["read_bytes"]
  for name in ("SSS", "TTT"):
    assert (
      exact["compositions"][name]["bytes"]
      > (int8["compositions"][name]["bytes"])
    )
  assert "Fewer bits" in (workdir / "report" / "report.html").read_text()
  assert "as good" in capsys.readouterr().out
  stages.run(config, workdir)  # Nothing is left to do.
  assert path.read_bytes() == written
  assert "precisions: int8" not in capsys.readouterr().out
  for given, wrong in (("int9", "did you mean"), ("int8,int8", "names one")):
    config.precisions = given
    with pytest.raises(ValueError, match=wrong):
      stages.run(config, workdir)
