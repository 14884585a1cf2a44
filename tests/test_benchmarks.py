"""That the benchmarks run; what they measure is not for tests."""

import functools
import json
import os
import subprocess
import sys

import jax
import pytest
from matplotlib.figure import Figure

from benchmarks import (
  __main__,
  bundles,
  cold_start,
  communication,
  evaluation,
  machine,
  plans,
  quality,
  quality_figures,
  quality_picture,
  scaling,
  swap,
  timing,
  train_step,
)
from benchmarks.records import Record, markdown, tell
from pwl_jax.method import composition
from pwl_jax.report.drawing import WIDE, Canvas
from pwl_jax.training.interruption import EXIT_CODE


@pytest.mark.parametrize("preset", ["tiny_resnet", "tiny_text"])
def test_a_step_is_measured_by_case(tmp_path, monkeypatch, capsys, preset):
  monkeypatch.setattr(train_step, "AUGMENT", {})
  path = tmp_path / "figures.json"
  (record,) = train_step.main(
    [
      *(f"--preset={preset}", "--batch_size=16", "--rounds=2"),
      *("--cases=student_kd,student_plain", f"--json={path}"),
    ]
  )
  assert list(record.rows) == ["student_kd", "student_plain"]
  assert record.rows["student_kd"]["ratio"] == 1
  for figures in record.rows.values():
    low, high = figures["low_ms"], figures["high_ms"]
    assert 0 < low <= figures["median_ms"] <= high
    assert figures["images_per_s"] == pytest.approx(16e3 / figures["median_ms"])
  assert json.loads(path.read_text())[0]["rows"] == record.rows
  assert "student_plain" in capsys.readouterr().out
  assert record.title.endswith("1 in a call, 8 devices")
  with pytest.raises(ValueError, match="--devices=9, and there are 8"):
    train_step.main(["--preset=tiny_resnet", "--devices=9"])
  with pytest.raises(ValueError, match="unknown case 'teachr'"):
    train_step.main(["--preset=tiny_resnet", "--cases=teachr"])


def test_the_peer_is_a_case_of_the_same_run(monkeypatch):
  pytest.importorskip(
    "torch",
    reason="the benchmarks' peer needs torch: requirements-bench.txt",
    exc_type=ImportError,
  )
  monkeypatch.setattr(train_step, "AUGMENT", {})
  (record,) = train_step.main(
    [
      *("--preset=tiny_vgg", "--batch_size=4", "--rounds=2", "--torch"),
      *("--cases=teacher", "--steps_per_call=2"),
    ]
  )
  assert list(record.rows) == ["teacher", "torch_teacher", "torch_distill"]
  assert record.title.endswith(", 1 device")
  assert record.rows["teacher"]["to_torch"] > 0
  assert "to_torch" not in record.rows["torch_teacher"]


@pytest.mark.parametrize("settled,seconds", [(False, 5), (True, 1)])
def test_settled_calls_follow_their_own_kind(monkeypatch, settled, seconds):
  """Where a call behind one of another case takes five times as long."""
  clock, last = 0, None

  def call(name):
    nonlocal clock, last
    clock, last = clock + (1 if last == name else 5), name

  monkeypatch.setattr(timing.time, "perf_counter", lambda: clock)
  cases = {name: functools.partial(call, name) for name in "ab"}
  found = timing.in_turns(cases, rounds=3, settled=settled)
  assert found == {name: [seconds] * 3 for name in "ab"}
  assert ("second of two" in timing.explained("a", 3, settled=settled)) == (
    settled
  )


def test_ratios_are_of_the_same_round():
  found = {"a": [1.0, 10.0, 2.0], "b": [3.0, 30.0, 6.0]}
  rows = timing.summaries(found, "a")
  assert rows["b"]["ratio"] == 3
  assert (rows["a"]["low_ms"], rows["a"]["high_ms"]) == (1500, 6000)


def test_the_tree_is_measured_beside_one_by_one(capsys):
  (record,) = evaluation.main(
    ["--preset=tiny_vgg", "--batch_size=4", "--rounds=1"]
  )
  assert list(record.rows) == ["one by one", "tree"]
  assert "to one by one" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["tiny_vgg", "tiny_text", "tiny_audio"])
def test_a_cold_start_is_measured(tmp_path, monkeypatch, capsys, preset):
  monkeypatch.setenv("PWL_JAX_CACHE", str(tmp_path / "programs"))
  fresh, warm = cold_start.main(
    [f"--preset={preset}", "--rounds=1", "--store=safetensors"]
  )
  assert list(fresh.rows) == ["import jax", "bundle"]
  assert list(warm.rows) == ["teacher", "student", "student, then all"]
  assert "import jax" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["tiny_vgg", "tiny_text"])
def test_swaps_are_measured(monkeypatch, capsys, preset):
  monkeypatch.setattr(swap, "QUIET_SECONDS", 0.01)
  _, changing, faults, held = swap.main(
    [
      *(f"--preset={preset}", "--cycles=4", "--store=safetensors"),
      "--threads=2",
    ]
  )
  assert {row["number"] for row in faults.rows.values()} == {0}
  assert changing.rows["all"]["requests"] > 0
  assert len(held.rows) == 1 + swap.PARTS
  assert "what went wrong" in capsys.readouterr().out


def test_requests_that_fail_are_counted():
  class Failing:
    def pinned(self):
      raise RuntimeError("no")

  with swap.Load(Failing(), None, 1, print) as load:
    while not load.failed:
      pass
  assert not load.milliseconds


def test_another_bundle_than_was_named_is_refused(tmp_path):
  bundles.make_bundle("tiny_vgg", tmp_path / "b", store="safetensors")
  with pytest.raises(ValueError, match="is of tiny_vgg in safetensors"):
    bundles.make_bundle("tiny_vit", tmp_path / "b", store="safetensors")


def test_the_harness_writes_what_it_measured(tmp_path, capsys):
  here = tmp_path / machine.slug()
  __main__.main(["reads", "--quick", f"--out={tmp_path}"])
  found = json.loads((here / "reads.json").read_text())
  assert found["runs"][0]["command"].startswith("python -m benchmarks.reads --")
  assert found["versions"]["jax"] == jax.__version__
  (record,) = found["runs"][0]["records"]
  assert list(record["rows"]) == ["read() and sha256", "orbax", "safetensors"]
  page = (here / "reads.md").read_text()
  assert page.startswith(f"# reads on {here.name}\n")
  assert "| safetensors | " in page and machine.hardware()["memory"] in page
  capsys.readouterr()
  __main__.main(["reads", "--quick", "--missing", f"--out={tmp_path}"])
  assert capsys.readouterr().out == ""
  assert json.loads((here / "reads.json").read_text()) == found
  with pytest.raises(ValueError, match="unknown benchmark 'raeds'"):
    __main__.main(["raeds"])
  with pytest.raises(SystemExit, match="2"):  # That of the command.
    __main__.measured("reads", ["--megabits=1"])


def test_every_plan_is_of_commands_that_exist():
  """Their arguments are read; nothing is measured."""
  for name in plans.NAMES:
    module = __import__(f"benchmarks.{name}", fromlist=["main"])
    for quick in (False, True):
      plan = plans.make_plan(name, quick=quick, torch=False)
      assert plan.commands
      for arguments in plan.commands:
        with pytest.raises(SystemExit) as end:
          module.main([*arguments, "--help"])
        assert end.value.code == 0
  assert (
    "not asked for"
    in plans.make_plan("train_step", quick=True, torch=False).left_out[0]
  )


def test_a_cpu_is_measured_as_one_device_and_as_two():
  commands = plans.make_plan("train_step", quick=False, torch=False).commands
  asked = [[a for a in c if a.startswith("--devices")] for c in commands]
  assert asked == [["--devices=1"], ["--devices=2"]] * len(plans.STEPS)
  made = "from benchmarks import machine; print(len(machine.take_devices({})))"
  environment = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
  for count in (1, 3):
    found = subprocess.run(
      [sys.executable, "-c", made.format(count)],
      env=environment,
      capture_output=True,
      text=True,
      check=True,
    )
    assert int(found.stdout) == count


def test_a_record_as_markdown():
  rows = {"a": {"median_ms": 1234.5}, "b": {"ratio": 0.5}}
  assert markdown(Record("title", rows, ["note"])).splitlines() == [
    *("**title**", "", "| case | median ms | ratio |", "| --- | ---: | ---: |"),
    *("| a | 1,234 |  |", "| b |  | 0.5 |", "", "- note"),
  ]


def test_steps_are_measured_by_units_and_by_batch(monkeypatch):
  monkeypatch.setattr(train_step, "AUGMENT", {})
  monkeypatch.setattr(scaling, "LAYERS", 2)
  units = scaling.by_units((2,), width=8, batch_size=16, rounds=1)
  assert list(units.rows) == ["2 units"]
  assert scaling.cut_vit(2, 8).has_converter(0)
  batch = scaling.by_batch((16,), preset="tiny_vgg", rounds=1)
  assert batch.rows["batch 16"]["images_per_s"] > 0


def test_virtual_devices_are_measured_in_other_processes():
  found = scaling.by_devices((2,), preset="tiny_vgg", batch_size=4, rounds=1)
  assert list(found.rows) == ["2 virtual"]
  assert "nothing of the speed" in found.notes[-1]


@pytest.fixture
def optimised():
  """Which operations are one, XLA's passes decide."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


def test_a_step_is_one_exchange_of_gradients(optimised):
  record = communication.measure("tiny_vgg", 16)
  exchange, gradients, averages = record.rows.values()
  assert next(iter(record.rows)) == "all-reduce"
  assert exchange["operations"] == 1
  metrics = 4 * 7  # The loss, its five parts and the accuracy.
  assert exchange["bytes"] == (gradients["bytes"] + averages["bytes"] + metrics)


def test_what_crosses_devices_is_read_from_a_program():
  text = """
  %a = (f32[8]{0}, bf16[2,3]{1,0}, /*index=2*/f32[]) all-reduce(%x, %y, %z)
  %b = f32[8]{0} get-tuple-element(%all-reduce.1), index=0
  %c = u8[4]{0} all-gather-start(%x), dimensions={0}
  %d = u8[4]{0} all-gather-done(%c)
  """
  assert communication.crossings(text) == [
    communication.Crossing("all-reduce", 3, 48),
    communication.Crossing("all-gather", 1, 4),
  ]


def test_recipes_are_compared(tmp_path, capsys, monkeypatch):
  """On one teacher for each seed; what is there is not made again."""
  monkeypatch.setenv("XLA_FLAGS", "")  # One device.
  given = [
    *("--config=tests/tiny_config.py", "--recipes=paper,mixed", "--seeds=0,1"),
    f"--picture={tmp_path / 'recipes.png'}",
    *(f"--workdir={tmp_path}", f"--json={tmp_path / 'figures.json'}"),
    *("--students", "--", "--config.evaluation.calibration_images=16"),
  ]
  valid, test, _, networks = quality.main(given)
  assert "held-out" in valid.title and "test" in test.title
  for record in (valid, test):
    assert list(record.rows) == ["paper", "mixed"]
    for row in record.rows.values():
      assert row["worst"] <= min(row["student"], row["mean"])
      assert row["worst_spread"] >= 0 <= row["dip"]
      assert (row["below"] > 0) == (row["worst"] < row["student"])
  students, every = ["student_plain", "student_kd"], composition.every(3)
  assert list(networks.rows) == [*students, *every]
  for name, row in test.rows.items():
    assert networks.rows["SSS"][name] == row["student"]
    assert networks.rows["SSS"][f"{name}_spread"] == row["student_spread"]
  assert networks.rows["student_kd"].keys() == {"paper", "paper_spread"}
  teachers = [row["teacher"] for row in test.rows.values()]
  assert teachers[0] == teachers[1]
  digests = {
    read_teacher(tmp_path / seed / name)
    for seed in ("seed0", "seed1")
    for name in ("paper", "mixed")
  }
  assert len(digests) == 2
  assert "one composition for the whole batch" in capsys.readouterr().out
  assert (tmp_path / "recipes.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_recipes_has_means_and_ranges():
  accuracy = {"SS": [50, 60], "ST": [62, 62], "TS": [61, 65], "TT": [70, 70]}
  found = {"mixed": {"student_kd": [40, 44], **accuracy}, "paper": accuracy}
  figure = Figure(dpi=72)
  canvas = Canvas(figure, WIDE, 400)
  quality_picture.picture(found, "test").draw(canvas)
  prefix, suffix, _, every = figure.axes
  student, mixed, paper = prefix.lines
  assert student.get_ydata() == pytest.approx([0.42] * 2)
  assert list(mixed.get_ydata()) == list(paper.get_ydata()) == [0.55, 0.63, 0.7]
  assert list(suffix.lines[1].get_ydata()) == [0.55, 0.62, 0.7]
  ends = prefix.collections[0].get_segments()
  assert [tuple(line[:, 1]) for line in ends[:2]] == [(0.5, 0.6), (0.61, 0.65)]
  assert len(every.lines[1].get_ydata()) == 4
  names = [text.get_text() for text in figure.texts]
  assert names == ["● mixed", "● paper", "╌ distilled"]


@pytest.mark.parametrize("columns", [80, 30])
def test_a_table_too_wide_for_the_screen_is_turned(
  monkeypatch, capsys, columns
):
  monkeypatch.setenv("COLUMNS", str(columns))
  rows = {"some case": {"some figure": 1.0, "another figure": 2.0}}
  tell([Record("title", rows)], None)
  words = [line.split() for line in capsys.readouterr().out.splitlines()]
  if columns == 80:
    assert ["some", "case", "1", "2"] in words
  else:
    assert ["some", "figure", "1"] in words
    assert ["another", "figure", "2"] in words


def test_figures_of_a_recipe():
  def scored(top1, before=None):
    uncalibrated = before and {"test": {"top1": before}}
    return {"test": {"top1": top1}, "uncalibrated": uncalibrated}

  known = {
    "SS": scored(0.5),
    "ST": scored(0.75, 0.25),
    "TS": scored(0.625, 0.5),
    "TT": scored(0.875),
  }
  found = quality_figures.figures({"compositions": known}, "test")
  assert found == {
    "teacher": 87.5,
    "student": 50,
    "worst": 50,
    "mean": 68.75,
    "below": 0,
    "margin": 12.5,
    "dip": 0,
    "worst_before": 25,
    "mean_before": 53.125,
    "dip_before": 0,
  }
  known["TS"] = scored(0.375)
  found = quality_figures.figures({"compositions": known}, "test")
  assert (found["below"], found["margin"], found["dip"]) == (1, -12.5, 12.5)


def read_teacher(workdir):
  return json.loads((workdir / "config.json").read_text())["imported.digest"]


@pytest.mark.parametrize("failing", [["mixed"], ["mixed", "paper"]])
def test_a_recipe_that_fails_is_left_out(tmp_path, monkeypatch, failing):
  """Others go on, and the tables name it; nothing is told of none."""
  score = {split: {"top1": 0.5} for split in ("valid", "test")}
  found = {**score, "uncalibrated": None}
  known = dict.fromkeys(composition.every(2), found)
  results = {"networks": {}, "compositions": known}
  monkeypatch.setattr(quality, "read", lambda path: results)

  def run(command, **options):
    fails = {f"--config.recipe={name}" for name in failing} & {*command}
    status = int("--config.seed=1" in command and bool(fails))
    return subprocess.CompletedProcess(command, status)

  monkeypatch.setattr(subprocess, "run", run)
  given = ["--recipes=paper,mixed", "--seeds=0,1", f"--workdir={tmp_path}"]
  if len(failing) == 2:
    with pytest.raises(SystemExit, match="1"):
      quality.main(given)
    return
  for record in quality.main(given):
    assert record.notes[-1] == (
      "mixed is left out: it failed with seed 1, see above"
    )
  assert list(quality.main(given)[0].rows) == ["paper"]


def test_a_run_that_is_stopped_stops_the_comparison(tmp_path, monkeypatch):
  stopped = subprocess.CompletedProcess([], EXIT_CODE)
  monkeypatch.setattr(subprocess, "run", lambda *args, **options: stopped)
  with pytest.raises(SystemExit, match=str(EXIT_CODE)):
    quality.main([f"--workdir={tmp_path}"])


def test_an_unknown_recipe_is_refused(tmp_path):
  with pytest.raises(ValueError, match="did you mean 'mixed'"):
    quality.main(
      ["--config=none.py", f"--workdir={tmp_path}", "--recipes=mixd"]
    )
