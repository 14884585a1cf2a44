"""Jobs: the same on any devices, after any interruption, in either wrapper."""

import contextlib
import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import flatten_util

from pwl_jax import models
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training import kinds
from pwl_jax.training.artefacts import (
  is_complete,
  load_result,
  load_variables,
  placed,
)
from pwl_jax.training.checkpoints import RunCheckpoints
from pwl_jax.training.interruption import Interrupted, Request, listening
from pwl_jax.training.loop import Diverged
from pwl_jax.training.parallel import check_batch, sharding
from pwl_jax.training.step import AXIS
from pwl_jax.training.trees import Damaged, Unfitting
from tests import toy_sets
from tests.cases import assert_close, draw, trees_equal
from tests.toy_sets import write_set
from tests.training_cases import (
  RECIPE,
  data,
  distill_job,
  made_by,
  run,
  teacher_job,
  text_data,
)


def test_a_job_learns_and_leaves_its_artefact(tmp_path):
  job = teacher_job()
  recipe = RECIPE._replace(epochs=10)
  result = run(job, tmp_path, recipe=recipe, log_every=5)
  assert result["valid"]["accuracy"] > 0.9 and result["steps"] == 50
  assert is_complete(tmp_path) and load_result(tmp_path) == result
  assert set(made_by(tmp_path, job)) == {"teacher"}
  steps = metrics(tmp_path)
  assert [s["step"] for s in steps if "loss" in s] == list(range(5, 51, 5))
  assert steps[-1]["valid_accuracy"] == result["valid"]["accuracy"]
  assert list((tmp_path / "tensorboard").glob("events*"))


def test_pmap_and_shard_map_give_the_same_bits(tmp_path):
  job = distill_job()
  for how in ("pmap", "shard_map"):
    run(job, tmp_path / how, devices=4, parallel=how)
  assert trees_equal(
    made_by(tmp_path / "pmap", job), made_by(tmp_path / "shard_map", job)
  )


SIZES = {"tiny_vit": (8, 8, 3), "tiny_resnet": (8, 8, 3), "tiny_text": (6,)}


@pytest.mark.parametrize("preset", SIZES)
def test_eight_devices_equal_one(tmp_path, preset):
  """Where the mathematics is the same: batch norms see the whole batch.

  And where devices get texts of different lengths.
  """
  size = dict(num_classes=4, input_shape=SIZES[preset])
  examples = text_data() if preset == "tiny_text" else None
  recipe = RECIPE._replace(epochs=1, batch_size=48, learning_rate=0.005)
  made = []
  for devices in (8, 1):
    axis = AXIS if devices > 1 else None
    swapnet = SwapNet.create(
      models.create(preset, "teacher", **size),
      models.create(preset, "student", **size, sync_axis=axis),
    )
    teacher = draw_variables(swapnet.teacher)
    job = kinds.distill_job("distill", swapnet, teacher, cross="all")
    directory = tmp_path / str(devices)
    run(job, directory, devices=devices, recipe=recipe, examples=examples)
    assert load_result(directory)["steps"] == 3
    shapes = swapnet.abstract_variables()
    del shapes["teacher"]
    made.append(
      load_variables(directory, placed(shapes, sharding(jax.devices()[:1])))
    )
  # As one vector: a bias that its batch norm takes out is rounding alone.
  assert_close(*(flatten_util.ravel_pytree(tree)[0] for tree in made), 1e-5)


def draw_variables(network):
  rng = np.random.default_rng(1)
  return jax.tree.map(
    lambda leaf: draw(rng, leaf), network.abstract_variables()
  )


def test_several_steps_in_one_dispatch_change_nothing(tmp_path):
  job = distill_job()
  for per_call in (1, 5):
    run(job, tmp_path / str(per_call), steps_per_call=per_call)
  one, five = (made_by(tmp_path / n, job) for n in ("1", "5"))
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), one, five)
  with pytest.raises(ValueError, match=r"is 4, which.* the 5 steps"):
    run(job, tmp_path / "4", steps_per_call=4)


class Stopping:
  """A job that somebody asks to end while it makes one of its steps."""

  def __init__(self, job, at):
    self._job, self._at = job, at

  def loss_at(self, step):
    if step == self._at:
      os.kill(os.getpid(), signal.SIGTERM)
    return self._job.loss_at(step)

  def job(self):
    return dataclasses.replace(self._job, loss_at=self.loss_at)


@pytest.mark.parametrize("devices", [1, 2])
def test_an_interrupted_run_equals_an_unbroken_one(tmp_path, devices):
  job = distill_job()
  run(job, tmp_path / "unbroken", devices=devices)
  broken = tmp_path / "broken"
  for at in (3, 7):
    with listening() as request, pytest.raises(Interrupted, match="SIGTERM"):
      stopping = Stopping(job, at).job()
      run(stopping, broken, devices=devices, request=request)
    assert not is_complete(broken)
  run(job, broken, devices=devices)
  assert trees_equal(made_by(tmp_path / "unbroken", job), made_by(broken, job))


def test_an_interrupted_stream_equals_an_unbroken_one(tmp_path):
  """Its position is the number of the step, and nothing else."""
  rng = np.random.default_rng(0)
  splits = {
    split: (
      [rng.integers(0, 256, (*rng.integers(8, 13, 2), 3), np.uint8)] * count,
      [i % 3 for i in range(count)],
    )
    for split, count in (("train", 40), ("test", 5))
  }
  write_set(tmp_path, splits, shape=(None, None, 3))
  streamed = data(toy_sets.load(tmp_path, image_size=8, workers=0))
  options = dict(examples=streamed, recipe=RECIPE._replace(epochs=6), devices=2)
  job = teacher_job(num_classes=toy_sets.CLASSES)
  run(job, tmp_path / "unbroken", **options, parallel="shard_map")
  with listening() as request, pytest.raises(Interrupted):
    stopping = Stopping(job, 3).job()
    run(stopping, tmp_path / "broken", request=request, **options)
  run(job, tmp_path / "broken", **options)
  unbroken, broken = (
    made_by(tmp_path / n, job) for n in ("unbroken", "broken")
  )
  assert trees_equal(unbroken, broken)


def test_a_run_goes_on_on_other_devices(tmp_path):
  job = distill_job(cross_mode="all", sync_axis=AXIS)
  with listening() as request, pytest.raises(Interrupted, match="step 1"):
    run(Stopping(job, 0).job(), tmp_path, devices=4, request=request)
  assert run(job, tmp_path, devices=2)["steps"] == 10


def test_who_is_told_to_end_before_the_first_step_ends_there(tmp_path):
  request = Request()
  request.name = "SIGTERM"
  with pytest.raises(Interrupted, match="before step 1"):
    run(teacher_job(), tmp_path, request=request)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
  """Bits that flip, which Orbax restores without a word."""
  job, said = teacher_job(), []
  run(job, tmp_path / "unbroken")
  broken = tmp_path / "broken"
  for at in (2, 5):
    with listening() as request, pytest.raises(Interrupted):
      run(Stopping(job, at).job(), broken, request=request)
  latest = broken / "checkpoints" / "6"
  spoil(latest)
  run(job, broken, report=said.append)
  assert len(said) == 1 and str(latest) in said[0]
  assert (broken / "damaged" / "6").is_dir()  # Nothing is lost.
  assert trees_equal(made_by(tmp_path / "unbroken", job), made_by(broken, job))


def spoil(directory):
  """Flips bits all over the data."""
  paths = [p for p in directory.rglob("d/*") if p.is_file()]
  assert paths
  for path in paths:
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 50):
      content[place] ^= 16
    path.write_bytes(bytes(content))


def test_where_every_checkpoint_is_damaged_nothing_is_trained(tmp_path):
  with listening() as request, pytest.raises(Interrupted):
    run(Stopping(teacher_job(), 2).job(), tmp_path, request=request)
  spoil(tmp_path / "checkpoints" / "3")
  with pytest.raises(Damaged, match=r"steps \[3\] are all damaged"):
    run(teacher_job(), tmp_path, report=lambda text: None)
  assert run(teacher_job(), tmp_path)["steps"] == 10  # From its beginning.


def test_a_checkpoint_of_something_else_is_left_alone(tmp_path):
  with listening() as request, pytest.raises(Interrupted):
    run(Stopping(teacher_job(), 2).job(), tmp_path, request=request)
  with pytest.raises(Unfitting, match=r"something else.*is wanted"):
    run(distill_job(), tmp_path)
  assert (tmp_path / "checkpoints" / "3").is_dir()


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
  recipe = RECIPE._replace(learning_rate=1e30, weight_decay=0.0)
  with pytest.raises(Diverged, match=r"at step \d+.*no checkpoint yet"):
    run(teacher_job(), tmp_path, recipe=recipe, log_every=1)
  assert not is_complete(tmp_path)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_state_that_is_not_finite_is_never_saved(tmp_path, stopped):
  """The loss of a step tells nothing of what the step left behind."""
  job = teacher_job()
  loss = job.loss_at(0)

  @jax.custom_jvp
  def poison(x):
    return x

  poison.defjvp(lambda x, dx: (x[0], dx[0] * jnp.nan))

  def spoiled(params, *args):
    return loss(jax.tree.map(poison, params), *args)

  job = dataclasses.replace(job, loss_at=lambda step: spoiled)
  recipe = RECIPE._replace(batch_size=180, epochs=2 if stopped else 1)
  if stopped:
    job = Stopping(job, 0).job()
  diverges = pytest.raises(Diverged, match="not finite at step 1")
  with listening() as request, diverges:
    run(job, tmp_path, recipe=recipe, request=request)
  assert not list((tmp_path / "checkpoints").iterdir())
  assert not is_complete(tmp_path)


def test_dispatches_of_several_steps_stay_within_their_epochs(tmp_path):
  """Also after going on from a step in the middle of one."""
  job = teacher_job()
  run(job, tmp_path / "plain")
  with listening() as request, pytest.raises(Interrupted):
    run(Stopping(job, 1).job(), tmp_path / "broken", request=request)
  run(job, tmp_path / "broken", steps_per_call=5)
  plain, broken = (made_by(tmp_path / n, job) for n in ("plain", "broken"))
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), plain, broken)


def test_the_best_step_is_kept_where_asked_for(tmp_path):
  recipe = RECIPE._replace(epochs=4, learning_rate=1.0, keep="best")
  result = run(teacher_job(), tmp_path, recipe=recipe, evaluate_every=1)
  lines = metrics(tmp_path)
  found = {
    m["step"]: m["valid_accuracy"] for m in lines if "valid_accuracy" in m
  }
  assert len(found) == 4 and len(set(found.values())) > 1
  assert result["valid"]["accuracy"] == max(found.values())
  assert found[result["kept_step"]] == max(found.values())


def test_where_the_best_step_is_damaged_another_one_is_kept(tmp_path):
  said = []
  with contextlib.closing(
    RunCheckpoints(tmp_path / "checkpoints", report=said.append)
  ) as checkpoints:
    for step, accuracy in enumerate([0.5, 0.9, 0.6, 0.7]):
      state = {"step": jnp.full(5, step)}
      checkpoints.save(step, state, accuracy=accuracy)
    checkpoints.wait()
    assert checkpoints.steps() == [1, 2, 3]
    abstract = placed(
      jax.eval_shape(lambda: state), sharding(jax.devices()[:1])
    )
    assert checkpoints.restore_best(abstract)["step"][0] == 1
    spoil(tmp_path / "checkpoints" / "1")
    assert checkpoints.restore_best(abstract)["step"][0] == 3
  assert len(said) == 1 and "checkpoints/1 is damaged" in said[0]


def test_a_checkpoint_says_what_it_is_of(tmp_path):
  notes = {"seed": 3, "data.name": "colours"}
  with contextlib.closing(RunCheckpoints(tmp_path, notes=notes)) as checkpoints:
    checkpoints.save(7, {"x": jnp.ones(2)})
    checkpoints.wait()
  path = tmp_path / "7" / "notes" / "metadata"
  assert json.loads(path.read_text()) == {**notes, "step": 7}


def metrics(directory):
  lines = (directory / "metrics.jsonl").read_text().splitlines()
  return [json.loads(line) for line in lines]


def test_metrics_of_steps_that_are_made_again_are_told_once(tmp_path):
  job = teacher_job()
  with listening() as request, pytest.raises(Interrupted):
    run(Stopping(job, 3).job(), tmp_path, request=request, log_every=1)
  with (tmp_path / "metrics.jsonl").open("a") as file:  # Killed behind it.
    file.write('{"step": 5, "loss": 1.0}\n{"step": 6, "lo')
  run(job, tmp_path, log_every=1)
  steps = [m["step"] for m in metrics(tmp_path) if "loss" in m]
  assert steps == list(range(1, 11))
  seconds = [m["seconds"] for m in metrics(tmp_path) if "seconds" in m]
  assert seconds == sorted(seconds)


def test_some_steps_are_traced_where_asked_for(tmp_path):
  run(teacher_job(), tmp_path, profile=2)
  assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_the_head_alone_can_be_trained(tmp_path):
  """What is loaded before it stays as it is, running averages included."""
  network = models.create("tiny_resnet", "teacher", num_classes=4)
  network = dataclasses.replace(network, input_shape=(8, 8, 3))
  start = network.init(jax.random.key(1))
  job = kinds.plain_job(
    "teacher", network, "teacher", start=start, trains="head"
  )
  run(job, tmp_path, recipe=RECIPE._replace(epochs=1))
  shapes = placed(
    jax.eval_shape(lambda: {"teacher": start}), sharding(jax.devices()[:1])
  )
  made = load_variables(tmp_path, shapes)["teacher"]
  changed = jax.tree_util.tree_leaves_with_path(
    jax.tree.map(lambda a, b: not np.array_equal(a, b), start, made)
  )
  paths = [jax.tree_util.keystr(path) for path, differs in changed if differs]
  assert paths and all("head" in path for path in paths)


def test_a_running_average_is_what_comes_out(tmp_path):
  job = teacher_job()
  run(job, tmp_path / "last")
  run(job, tmp_path / "mean", recipe=RECIPE._replace(ema_decay=0.5))
  last, mean = (made_by(tmp_path / n, job) for n in ("last", "mean"))
  assert not trees_equal(last, mean)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=0.5), last, mean
  )


@pytest.mark.parametrize("batch,devices", [(30, 4), (12, 8), (2, 2)])
def test_batches_that_do_not_divide_are_refused(batch, devices):
  message = f"batch of {batch} .* {devices} devices in pairs.*multiple of"
  with pytest.raises(ValueError, match=message):
    check_batch(batch, devices, pairs=True)
  check_batch(8 * devices, devices, pairs=True)
  check_batch(devices, devices, pairs=False)


def test_the_teacher_is_not_among_what_is_trained(tmp_path):
  job = distill_job()
  before = jax.tree.map(jnp.copy, job.frozen)
  run(job, tmp_path)
  assert trees_equal(before, job.frozen)
  assert set(made_by(tmp_path, job)) == {"student", "converters"}
