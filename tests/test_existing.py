"""Networks that exist and are pruned, as teacher and as student's start."""

import json
import os
import pathlib
import signal

import jax
import numpy as np
import pytest
from flax import traverse_util
from rich.console import Console

from pwl_jax import export, stages, trained, workdirs
from pwl_jax.compress.prune import is_kernel, kept, prune_channels
from pwl_jax.report.results import read
from pwl_jax.training.interruption import Interrupted, Request, listening
from pwl_jax.training.trees import Damaged, save_tree, saved
from tests.cases import trees_equal
from tests.tiny_config import get_config

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
LENET = FIXTURES / "reference" / "lenet5"


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  """Compiling for several takes several times as long."""
  one = jax.devices()[:1]
  monkeypatch.setattr(jax, "devices", lambda: one)


def config_of(names, **changes):
  config = get_config()
  config.stages = names
  config.update_from_flattened_dict(
    {name.replace("__", "."): value for name, value in changes.items()}
  )
  return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A workdir with a teacher and a student; VGG, of which units have two."""
  workdir = tmp_path_factory.mktemp("run")
  stages.run(config_of("teacher,student_plain,distill"), workdir)
  return workdir


def context_of(config, workdir):
  return stages.make_context(config, workdir, Console(quiet=True), Request())


def made(config, workdir, stage):
  return trained.variables(context_of(config, workdir), stage)


def zeros(variables):
  """Of each kernel, how many."""
  flat = jax.tree_util.tree_leaves_with_path(variables)
  return [
    (int((np.asarray(leaf) == 0).sum()), leaf.size)
    for path, leaf in flat
    if is_kernel(path, leaf)
  ]


def test_a_teacher_is_pruned_as_it_is_read(run, tmp_path):
  whole = context_of(config_of("teacher"), run)
  variables = trained.variables(whole, "teacher")["teacher"]
  config = config_of(
    "teacher",
    imported__path=str(run / "teacher"),
    imported__trains="nothing",
    imported__prune_channels=0.5,
  )
  stages.run(config, tmp_path / "a")
  network, pruned = prune_channels(whole.swapnet.teacher, variables, 0.5)
  again = context_of(config, tmp_path / "a")
  assert again.swapnet.teacher == network
  found = made(config, tmp_path / "a", "teacher")["teacher"]
  assert trees_equal(params(found), params(pruned))
  assert not trees_equal(found, pruned)  # Batch norms were measured anew.
  # Once more: the stage says how it was pruned.
  config.imported.path = str(tmp_path / "a" / "teacher")
  stages.run(config, tmp_path / "b")
  assert again.fields["imported.narrowed"] == [0.5]
  network, pruned = prune_channels(network, pruned, 0.5)
  assert network.units[1].inner_width == kept(kept(16, 0.5), 0.5)
  assert context_of(config, tmp_path / "b").swapnet.teacher == network
  found = made(config, tmp_path / "b", "teacher")["teacher"]
  assert trees_equal(params(found), params(pruned))
  # And as it is.
  config.imported.path = str(tmp_path / "b" / "teacher")
  config.imported.prune_channels = 0.0
  start = context_of(config, tmp_path).starts["teacher"]
  assert start.network == network and trees_equal(start.variables, found)


def params(variables):
  return {name: unit["params"] for name, unit in variables.items()}


@pytest.mark.parametrize("trains", ["all", "head"])
def test_zeros_of_a_teacher_stay_in_training(run, tmp_path, trains):
  config = config_of(
    "teacher",
    imported__path=str(run / "teacher"),
    imported__trains=trains,
    imported__prune_weights=0.8,
  )
  stages.run(config, tmp_path)
  before = context_of(config, tmp_path).starts["teacher"].variables
  after = made(config, tmp_path, "teacher")["teacher"]
  assert zeros(after) == zeros(before)
  assert all(none == int(0.8 * size) for none, size in zeros(after))
  assert not trees_equal(before, after)


def test_an_interrupted_run_keeps_the_same_zeros(run, tmp_path, monkeypatch):
  """Weights that became zero after the first step are none of them."""
  config = config_of(
    "distill",
    imported__path=str(run / "teacher"),
    imported__trains="nothing",
    started__path=str(run / "distill"),
    started__prune_weights=0.5,
    model__converter="auto",  # What a residual one hides may be idle: zeros.
  )
  config.stages = "teacher,distill"
  stages.run(config, tmp_path / "unbroken")
  make = trained.TRAININGS["distill"].make

  def interrupted(context, teacher):
    job = make(context, teacher)

    def loss_at(step):
      if step == 1:
        os.kill(os.getpid(), signal.SIGTERM)
      return job.loss_at(step)

    return job.__class__(**{**vars(job), "loss_at": loss_at})

  changed = trained.TRAININGS["distill"]._replace(make=interrupted)
  with monkeypatch.context() as patch, listening(), pytest.raises(Interrupted):
    patch.setitem(trained.TRAININGS, "distill", changed)
    stages.run(config, tmp_path / "broken")
  stages.run(config, tmp_path / "broken")
  found = [
    made(config, tmp_path / name, "distill") for name in ("unbroken", "broken")
  ]
  assert trees_equal(*found)
  assert all(n == size // 2 for n, size in zeros(found[0]["student"]))
  assert not any(n for n, _ in zeros(found[0]["converters"]))


def test_a_teacher_is_pruned_into_a_student(run, tmp_path):
  config = config_of(
    "teacher,student_plain,distill,evaluate,export",
    imported__path=str(run / "teacher"),
    imported__trains="nothing",
    started__path=str(run / "teacher"),
    started__prune_channels=0.5,
  )
  config.export.platforms = ("cpu",)
  stages.run(config, tmp_path)
  context = context_of(config, tmp_path)
  student = context.swapnet.student
  assert student.shapes() == context.swapnet.teacher.shapes()
  assert student.units[1].inner_width == 8
  networks = read(tmp_path / "report" / "results.json")["networks"]
  counts = {name: found["parameters"] for name, found in networks.items()}
  assert counts["student"] < counts["teacher"]
  assert counts["student_plain"] == counts["student"]
  # Another bundle is made of what the workdir says of itself.
  found = export.read_config(tmp_path / "config.json")
  config.export.student = "float32"  # What "" stands for.
  assert found.to_dict() == config.to_dict()
  # What was made of it can be pruned once more, as a student.
  config.started.path = str(tmp_path / "distill")
  config.imported.path = str(tmp_path / "teacher")
  context = context_of(config, tmp_path / "b")
  assert context.fields["started.network"] == "teacher"
  assert context.fields["started.narrowed"] == [0.5, 0.5]
  assert context.swapnet.student.units[1].inner_width == 4


def test_a_student_stage_belongs_to_what_it_started_from(run, tmp_path):
  config = config_of("distill", started__path=str(run / "student_plain"))
  for stage in ("distill", "student_plain"):  # As if both were begun.
    fields = trained.read_by(context_of(config, tmp_path), stage)
    workdirs.own(tmp_path / stage, fields)

  def check(stage, **changes):
    changed = config.copy_and_resolve_references()
    changed.started.update(changes)
    trained.check_owner(context_of(changed, tmp_path), stage)

  check("distill")
  same = tmp_path / "elsewhere"  # Where it lies says nothing.
  same.symlink_to(run / "student_plain")
  check("distill", path=str(same))
  with pytest.raises(ValueError, match=r"started\.digest: '\w+' there, '\w+'"):
    check("distill", path=str(run / "distill"))
  with pytest.raises(ValueError, match=r"prune_weights: 0\.0 there, 0\.5 now"):
    check("distill", prune_weights=0.5)
  # A student from scratch has the shape alone in common with it.
  check("student_plain", path=str(run / "distill"), prune_weights=0.5)
  with pytest.raises(ValueError, match=r"network: 'student' there, 'teacher'"):
    check("student_plain", path=str(run / "teacher"))


def test_older_stages_go_on(run, tmp_path):
  """What came later is not in their configs, where it changes nothing."""
  for stage in ("teacher", "student_plain", "distill"):
    fields = json.loads((run / stage / "config.json").read_text())
    assert not [name for name in fields if "prune" in name or "started" in name]
    assert fields.get("imported.digest", "") == ""
  fields = json.loads((run / "config.json").read_text())
  old = {n: v for n, v in fields.items() if "started" not in n}
  (tmp_path / "config.json").write_text(json.dumps(old))
  found = export.read_config(tmp_path / "config.json")
  assert found.started.to_dict() == get_config().started.to_dict()


def test_a_foreign_network_is_pruned_and_gets_a_new_head(tmp_path):
  """Of a LeNet the head alone has channels before it."""
  config = config_of("teacher")
  config.data.name = "synthetic:60x32x32x3/3"
  config.model.preset = "lenet5"
  for section in ("imported", "started"):
    config[section].update(
      path=str(LENET), prune_channels=0.25, prune_weights=0.5
    )
  context = context_of(config, tmp_path)
  for start in context.starts.values():
    assert start.has_new_head and start.keeps_zeros
    last = traverse_util.flatten_dict(start.variables["unit3"], sep="/")
    assert last["params/dense/kernel"].shape == (120, 63)
    assert last["params/head/kernel"].shape == (63, 3)
    assert (last["params/head/kernel"] != 0).all()
    assert (last["params/dense/kernel"] == 0).sum() == 120 * 63 // 2


def test_what_was_saved_is_told_without_reading_it(tmp_path):
  tree = {
    "student": {"unit0": {"params": {"kernel": np.ones((2, 3), np.float32)}}},
    "converters": {"boundary0": {}},  # Of equal widths.
  }
  save_tree(tmp_path / "tree", tree)
  assert saved(tmp_path / "tree") == jax.eval_shape(lambda: tree)
  with pytest.raises(FileNotFoundError, match="nowhere is missing"):
    saved(tmp_path / "nowhere")
  (tmp_path / "tree" / "tree" / "_METADATA").write_text("{")
  with pytest.raises(Damaged, match="tree cannot be read"):
    saved(tmp_path / "tree")


@pytest.mark.parametrize(
  "changes,message",
  [
    ({"imported__prune_channels": 0.5}, r"imported\.path is empty.*teacher"),
    ({"imported__prune_weights": 0.5}, r"imported\.path is empty"),
    ({"started__prune_channels": 0.5}, r"started\.path is empty.*student_pl"),
    ({"started__prune_weights": 1.0}, r"started\.prune_weights is 1\.0"),
    ({"started__prune_channels": -0.1}, r"prune_channels is -0\.1"),
    ({"imported__path": "student_plain"}, "holds student; .* of a teacher"),
    ({"started__path": ""}, r"is a workdir; started\.path .*/student_plain"),
    ({"started__path": "evaluate"}, "does not exist"),
    (
      {"started__path": "student_plain", "started__prune_channels": 0.5},
      r"config\.started\.prune_channels: .*none to spare",
    ),
    (
      {"imported__path": "teacher", "imported__prune_channels": 0.01},
      r"config\.imported\.prune_channels: .*there are 16; give at least 0\.06",
    ),
    ({"model__preset": "tiny_resnet", "started__path": "teacher"}, "wanted"),
  ],
)
def test_mistakes_are_told_before_anything_runs(
  run, tmp_path, changes, message
):
  changes = {
    name: str(run / value) if name.endswith("path") else value
    for name, value in changes.items()
  }
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    stages.run(config_of("teacher", **changes), tmp_path / "run")
  assert not (tmp_path / "run").exists()
