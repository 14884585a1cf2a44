"""Several runs: groups of seeds, means and spreads."""

import numpy as np
import pytest
import report_cases
from report_page import compared
from report_runs import make_run, write_run

from pwl_jax import workdirs
from pwl_jax.config import default_config
from pwl_jax.report import compare, run
from pwl_jax.training.session import Machine


def test_means_and_spreads_are_those_of_the_seeds(tmp_path, capsys):
  runs = [make_run(tmp_path / f"r{seed}", seed=seed) for seed in range(3)]
  text, found = compared(capsys, tmp_path, *runs)
  (group,) = found["groups"]
  each = [
    run.read(path).results["networks"]["student_kd"]["test"]["top1"]
    for path in runs
  ]
  values = group["values"]["test.student_kd"]
  assert values["values"] == each and values["n"] == 3
  np.testing.assert_allclose(values["mean"], np.mean(each))
  np.testing.assert_allclose(values["spread"], np.std(each, ddof=1))
  mean, spread = 100 * np.mean(each), 100 * np.std(each, ddof=1)
  assert f"{mean:.2f} % ± {spread:.2f}" in text and "3 runs" in text
  assert found["differing"] == {}


def test_one_run_has_no_spread(tmp_path, capsys):
  runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", cross="all")]
  text, found = compared(capsys, tmp_path, *runs)
  assert [g["values"]["test.teacher"]["spread"] for g in found["groups"]] == [
    None,
    None,
  ]
  assert "one run" in text and "±" not in text.replace("mean ± spread", "")
  assert found["differing"] == {"cross": [None, "all"]}
  assert "cross" in text


def test_fields_that_change_no_result_do_not_part_runs(tmp_path):
  first = make_run(tmp_path / "a", seed=0)
  others = [
    make_run(tmp_path / f"b{i}", seed=i, **{name: "another"})
    for i, name in enumerate(compare.FREE, start=1)
  ]
  groups = compare.group([run.read(path) for path in (first, *others)])
  assert [len(group.runs) for group in groups] == [1 + len(compare.FREE)]


def test_the_fields_that_change_no_result_are_the_pipelines():
  """But for the rhythm of evaluations, which says what can be kept."""
  machine = set(Machine._fields) - {"devices", "evaluate_every"}
  fields = workdirs.flat(default_config().to_dict())
  export = {name for name in fields if name.startswith("export.")}
  free = {*workdirs.FREE, *machine, *export}
  free |= {"stages", "evaluation.memory_budget"}
  assert set(compare.FREE) == free <= fields.keys()


def test_other_data_and_units_are_compared_in_what_they_share(tmp_path, capsys):
  small = make_run(tmp_path / "small", 1)
  large = make_run(tmp_path / "large", 9, **{"data.name": "<other>"})
  bare = tmp_path / "bare"
  bare.mkdir()
  write_run(bare, None)
  text, found = compared(capsys, tmp_path, small, large, bare)
  one, other = found["groups"]
  assert one["values"]["planned.at_100"]["mean"] > 0.9
  assert other["values"]["suffix.at_25"]["mean"] > 0.9
  assert "worst_composition" not in one["values"]  # Of S and T alone.
  assert "bare lacks evaluate" in text
  assert one["values"]["test.teacher"]["values"][1] is None


def test_runs_that_were_not_evaluated_are_compared_by_held_out(
  tmp_path, capsys
):
  runs = []
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    runs.append(write_run(tmp_path / name, None))
  text, found = compared(capsys, tmp_path, *runs)
  assert found["groups"][0]["values"]["valid.teacher"]["mean"] == 0.93
  assert "held out" in text and "same seed" in text


@pytest.mark.parametrize("share,rung", [(0, 0), (0.3, 0), (0.34, 1), (1, 2)])
def test_accuracy_at_a_share_is_of_the_units_that_are_complete(share, rung):
  found = report_cases.make_results(2, seed=4)  # Units of 1/3 and 2/3.
  climb = compare.findings.climbs(found)["prefix"]
  assert compare.at_share(climb, share) == climb.scores[rung]["top1"]


def test_groups_have_names_of_their_own():
  names = [compare.group_name(i) for i in range(60)]
  assert names[:2] == ["A", "B"] and names[26] == "AA"
  assert len(set(names)) == 60
