"""The objective: its parts, where gradients go, and what stays constant."""

import copy
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from pwl_jax import models
from pwl_jax.method import losses, objective
from pwl_jax.method.network import Network
from pwl_jax.method.objective import loss_parts, make_objective
from pwl_jax.method.options import CROSS_MODES
from pwl_jax.method.sampling import Sampler
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import merge, split, with_stats
from pwl_jax.models.vgg import vgg
from tests.cases import Case, assert_close, trees_equal

KEY = jax.random.key(11)


def found(case, *, key=KEY, **options):
  @jax.jit
  def run(variables, x, labels, key):
    return loss_parts(case.swapnet, variables, x, labels, key=key, **options)

  return run(case.variables, case.x, case.labels, key)


def run_student(case):
  run = jax.jit(lambda v: case.swapnet.student.apply(v, case.x, train=True))
  return run(case.variables["student"])


def all_close(found, expected):
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found, expected)


@pytest.mark.parametrize("mode", CROSS_MODES)
def test_parts_have_their_names_and_make_the_total(tiny, mode):
  case = tiny("tiny_resnet")
  parts = found(case, cross_mode=mode).parts
  assert set(parts) == set(objective.PARTS)
  for part in parts.values():
    assert part.shape == () and part.dtype == jnp.float32 and part > 0
  params, stats = split(case.variables)
  loss = jax.jit(make_objective(case.swapnet, cross_mode=mode))
  teacher = case.variables["teacher"]
  total, _ = loss(params, stats, teacher, case.x, case.labels, KEY)
  np.testing.assert_allclose(total, sum(map(float, parts.values())), rtol=1e-5)


def test_weights_scale_their_own_parts_only(tiny):
  case = tiny("tiny_vit")
  one = found(case).parts
  other = found(
    case,
    alpha=0.1,
    feature_weight=3.0,
    reconstruction_weight=0.5,
    cross_weight=1.0,
  ).parts
  factors = dict(hard=0.25, soft=1.5, feature=3, reconstruction=0.5, cross=0.5)
  for name, factor in factors.items():
    np.testing.assert_allclose(other[name], factor * one[name], rtol=1e-5)


def test_weights_of_zero_run_no_pass_beside_the_students(tiny):
  case = tiny("tiny_resnet")
  weights = ("cross_weight", "feature_weight", "reconstruction_weight")
  out = found(case, key=None, **dict.fromkeys(weights, 0))
  for name in ("feature", "reconstruction", "cross"):
    assert out.parts[name] == 0
  student = run_student(case)
  all_close(out.batch_stats, student.batch_stats)


def test_equal_widths_have_nothing_to_reconstruct():
  teacher, student = (
    Network(vgg((4, 4), depths), (8, 8, 3)) for depths in ((2, 2), (1, 1))
  )
  parts = found(Case(SwapNet.create(teacher, student))).parts
  assert parts["reconstruction"] == 0 and parts["feature"] > 0


def test_a_network_of_one_unit_has_no_boundary_and_no_cross_loss():
  network = Network(vgg((4,), (1,)), (4, 4, 3))
  case = Case(SwapNet.create(network, network), batch=3)
  for mode in CROSS_MODES:
    parts = found(case, key=None, cross_mode=mode).parts
    for name in ("feature", "reconstruction", "cross"):
      assert parts[name] == 0


# The norm behind a convolution takes its bias out again, and a softmax the same
# number added to all its scores: only rounding is left of their gradients.
WITHOUT_EFFECT = re.compile(r"conv\d+/bias$|attention/key/bias$")


@pytest.mark.parametrize("mode", CROSS_MODES)
@pytest.mark.parametrize(
  "name", ["tiny_vgg", "tiny_resnet", "tiny_vit", "tiny_text", "tiny_audio"]
)
def test_gradients_reach_all_but_the_teacher(tiny, name, mode):
  case = tiny(name, "linear")

  def total(variables):
    return loss_parts(
      case.swapnet,
      variables,
      case.x,
      case.labels,
      key=KEY,
      cross_mode=mode,
    ).total

  gradients, _ = split(jax.jit(jax.grad(total))(case.variables))
  for leaf in jax.tree.leaves(gradients["teacher"]):
    assert (leaf == 0).all()
  checked = 0
  for role in ("student", "converters"):
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients[role]):
      name = jax.tree_util.keystr(path, simple=True, separator="/")
      assert jnp.isfinite(leaf).all()
      if not WITHOUT_EFFECT.search(name):
        assert abs(leaf).max() > 1e-5, name
        checked += 1
  assert checked > 10


def test_gradients_pass_through_teacher_units(tiny):
  """In "ST..." only the first student unit runs, under a frozen tail."""
  case = tiny("tiny_vit")

  def cross(student):
    variables = case.variables | {"student": student}
    return loss_parts(
      case.swapnet, variables, case.x, case.labels, composition="STT"
    ).parts["cross"]

  gradients = jax.jit(jax.grad(cross))(case.variables["student"])
  norms = {name: optax.tree.norm(g) for name, g in gradients.items()}
  assert norms["unit0"] > 0 and norms["unit1"] == norms["unit2"] == 0


def test_the_teacher_is_bit_identical_after_steps_and_one_trace_serves(tiny):
  """Even where an optimiser is given everything, teacher included."""
  case = tiny("tiny_resnet")
  traces = 0
  loss = make_objective(case.swapnet)
  tx = optax.sgd(0.01, momentum=0.9)
  params, stats = split(case.variables)

  @jax.jit
  def step(params, stats, opt_state, key):
    nonlocal traces
    traces += 1

    def total(params):
      teacher = merge(params, stats)["teacher"]
      own = {k: v for k, v in params.items() if k != "teacher"}
      return loss(own, stats, teacher, case.x, case.labels, key)

    (value, out), grads = jax.value_and_grad(total, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return params, out.batch_stats, opt_state, value

  opt_state, totals = tx.init(params), []
  for seed in range(8):
    before = jax.tree.structure((params, stats, opt_state))
    params, stats, opt_state, value = step(
      params, stats, opt_state, jax.random.key(seed)
    )
    assert jax.tree.structure((params, stats, opt_state)) == before
    totals.append(float(value))
  assert traces == 1
  assert totals[-1] < totals[0]
  after = merge(params, stats)
  assert trees_equal(after["teacher"], case.variables["teacher"])
  for name, unit in after["student"].items():
    assert not trees_equal(unit, case.variables["student"][name])


def test_the_two_rules_for_running_averages(tiny):
  case = tiny("tiny_resnet")
  options = dict(composition="TSS")
  student = found(case, stats_rule="student", **options).batch_stats
  both = found(case, stats_rule="both", **options).batch_stats
  alone = run_student(case).batch_stats
  crossed = jax.jit(
    lambda v: case.swapnet.compose(v, case.x, "TSS", train=True).batch_stats
  )(case.variables)
  all_close(student, alone)
  all_close(both["unit0"], alone["unit0"])  # The teacher ran there.
  for unit in ("unit1", "unit2"):
    mean = jax.tree.map(lambda a, b: (a + b) / 2, alone[unit], crossed[unit])
    all_close(both[unit], mean)


def test_running_averages_of_one_pass_after_the_other(tiny):
  """As where the student runs, and then the composition, on what it left."""
  case = tiny("tiny_resnet")
  options = dict(composition="TSS", stats_rule="sequence")
  sequence = found(case, **options).batch_stats
  alone = run_student(case).batch_stats
  after = with_stats(case.variables["student"], alone)
  crossed = jax.jit(
    lambda v: case.swapnet.compose(v, case.x, "TSS", train=True).batch_stats
  )({**case.variables, "student": after})
  all_close(sequence, {**alone, **crossed})
  same = found(case, composition="TSS", stats_rule="both").parts
  all_close(found(case, **options).parts, same)


def test_labels_have_their_share_of_the_cross_loss(tiny):
  case = tiny("tiny_vit")
  word = "STT"
  logits = case.logits(case.variables, case.x, word)
  hard = losses.hard_loss(logits, case.labels).mean()

  def cross(alpha):
    options = dict(composition=word, cross_alpha=alpha, train=False)
    return found(case, **options).parts["cross"]

  np.testing.assert_allclose(cross(1.0), 2 * hard, rtol=1e-5)
  expected = 0.25 * cross(1.0) + 0.75 * cross(0.0)
  np.testing.assert_allclose(cross(0.25), expected, rtol=1e-5)


def test_every_soft_loss_is_decoupled_where_other_classes_have_a_weight(tiny):
  case = tiny("tiny_vit")
  student, teacher, mixed = (
    case.logits(case.variables, case.x, word) for word in ("SSS", "TTT", "STT")
  )
  options = dict(temperature=3.0, others_weight=2.5)
  parts = found(case, composition="STT", train=False, **options).parts
  for name, logits, weight in (("soft", student, 0.6), ("cross", mixed, 2.0)):
    expected = losses.decoupled_loss(logits, teacher, case.labels, **options)
    np.testing.assert_allclose(
      parts[name], weight * expected.mean(), rtol=1e-5, atol=1e-7
    )


def test_evaluation_mode_leaves_the_statistics_alone(tiny):
  case = tiny("tiny_resnet")
  stats = split(case.variables)[1]["student"]
  assert trees_equal(found(case, train=False).batch_stats, stats)


@pytest.mark.parametrize("name", ["tiny_vit", "tiny_text", "tiny_resnet"])
def test_a_pass_of_a_repeatable_student_spares_a_part_of_the_cross_pass(
  tiny, name, monkeypatch
):
  """And changes nothing; batch norms see their own pass each."""
  case = tiny(name)

  def run():
    objective = make_objective(case.swapnet)
    args = *split(case.variables), case.variables["teacher"]
    step = jax.jit(jax.value_and_grad(objective, has_aux=True))
    lowered = step.lower(*args, case.x, case.labels, KEY)
    (total, found), grads = lowered.compile()(*args, case.x, case.labels, KEY)
    # As one vector: what should be zero is rounding on the scale of all.
    gradient = ravel_pytree(grads)[0]
    return lowered.cost_analysis()["flops"], (total, found.parts, gradient)

  flops, spared = run()
  student = case.swapnet.student
  repeatable = student.repeatable
  monkeypatch.setitem(vars(student), "repeatable", False)
  all_flops, whole = run()
  assert (flops < all_flops) == repeatable
  all_close(spared, whole)


def test_the_random_cross_loss_is_the_mean_over_compositions(tiny):
  """Over many keys it approaches its expectation."""
  case = tiny("tiny_vit")

  @jax.jit
  def run(key):
    out = found(case, key=key, train=False, sampler="uniform")
    return out.parts["cross"]

  keys = jax.random.split(jax.random.key(0), 400)
  samples = np.array([run(key) for key in keys])
  teacher, *mixed = (
    case.logits(case.variables, case.x, word)
    for word in ("TTT", "SST", "STS", "STT", "TSS", "TST", "TTS")
  )
  kl = [losses.soft_loss(one, teacher, temperature=2.0) for one in mixed]
  exact = 2.0 * np.mean(kl)
  error = samples.std() / np.sqrt(len(samples))
  assert abs(samples.mean() - exact) < 5 * error
  assert error < 0.02 * exact


def test_bad_options_say_what_to_do(tiny):
  case = tiny("tiny_vit")
  cases = [
    (dict(cross_mode="rndom"), "did you mean 'random'"),
    (dict(stats_rule="mean"), "both, sequence, student"),
    (dict(alpha=1.5), r"\[0, 1\]; got 1.5"),
    (dict(cross_alpha=-1), r"cross_alpha .*\[0, 1\]; got -1"),
    (dict(others_weight=-1), "others_weight is -1; .* at least 0"),
    (dict(cross_weight=-1), "cross_weight is -1; .* at least 0"),
    (dict(cross_mode="all", stats_rule="sequence"), "behind the student's own"),
    (dict(temperature=0), "positive"),
    (dict(sampler="papr"), "did you mean 'paper'"),
    (dict(key=None), "drawn from a key"),
    (dict(composition="TT"), "3 letters"),
    (dict(composition="TTS", cross_mode="all"), "leave it out"),
  ]
  for options, message in cases:
    with pytest.raises(ValueError, match=message):
      found(case, **options)
  with pytest.raises(ValueError, match="did you mean 'random'"):
    make_objective(case.swapnet, cross_mode="rndom")
  with pytest.raises(TypeError, match="temprature"):
    make_objective(case.swapnet, temprature=2.0)
  for labels in (case.labels[:1], case.labels * 1.0, case.labels[:, None]):
    with pytest.raises(ValueError, match="integer classes"):
      loss_parts(case.swapnet, case.variables, case.x, labels, key=KEY)
  odd = case.x[:7], case.labels[:7]
  with pytest.raises(ValueError, match="even number"):
    loss_parts(case.swapnet, case.variables, *odd, key=KEY)


def test_labels_as_distributions(tiny):
  case = tiny("tiny_vgg")
  classes = found(case, train=False).parts
  case = copy.copy(case)
  case.labels = jax.nn.one_hot(case.labels, 10)
  shares = found(case, train=False).parts
  assert_close(shares["hard"], classes["hard"], 1e-6)


def test_arrays_of_numpy_will_do(tiny):
  case = tiny("tiny_vgg")
  parts = loss_parts(
    case.swapnet, case.variables, *map(np.asarray, (case.x, case.labels)),
    key=KEY, train=False,
  ).parts  # fmt: skip
  assert_close(parts["cross"], found(case, train=False).parts["cross"], 1e-5)


def test_constants_can_be_traced(tiny):
  case = tiny("tiny_vgg")

  @jax.jit
  def run(alpha, temperature, cross_weight):
    return loss_parts(
      case.swapnet, case.variables, case.x, case.labels, key=KEY, train=False,
      alpha=alpha, temperature=temperature, cross_weight=cross_weight,
    ).total  # fmt: skip

  assert_close(run(0.4, 2.0, 2.0), found(case, train=False).total, 1e-5)


def test_a_sampler_of_ones_own(tiny):
  case = tiny("tiny_vgg")
  row = jnp.array([True, False, False])

  def masks(key, batch, num_units):
    return jnp.broadcast_to(row, (batch, num_units))

  own = Sampler(masks, lambda batch, num_units: (batch, 0, 0))
  drawn = found(case, sampler=own, train=False).parts["cross"]
  named = found(case, composition="TSS", train=False).parts["cross"]
  assert_close(drawn, named, 1e-5)


@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_text", "tiny_audio"])
def test_bfloat16_gives_finite_losses_near_those_of_float32(tiny, name):
  networks = models.create_pair(name, dtype=jnp.bfloat16)
  half = found(Case(SwapNet.create(*networks)))
  full = found(tiny(name))
  for part in objective.PARTS:
    np.testing.assert_allclose(half.parts[part], full.parts[part], rtol=0.1)
  assert half.student_logits.dtype == jnp.float32
