"""The objective: its parts, where gradients go, and what stays constant."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pwl_jax import models
from pwl_jax.method import losses, objective
from pwl_jax.method.network import Network
from pwl_jax.method.objective import loss_parts, make_objective
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import split
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


def test_parts_have_their_names_and_add_up(tiny):
  for mode in objective.CROSS_MODES:
    out = found(tiny("tiny_resnet"), cross_mode=mode)
    assert set(out.parts) == set(objective.PARTS)
    for part in out.parts.values():
      assert part.shape == () and part.dtype == jnp.float32 and part > 0
    np.testing.assert_allclose(out.total, sum(out.parts.values()), rtol=1e-6)


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


def test_a_cross_weight_of_zero_runs_no_cross_pass(tiny):
  case = tiny("tiny_resnet")
  out = found(case, cross_weight=0, key=None)
  assert out.parts["cross"] == 0
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
  for mode in objective.CROSS_MODES:
    parts = found(case, key=None, cross_mode=mode).parts
    for name in ("feature", "reconstruction", "cross"):
      assert parts[name] == 0


@pytest.mark.parametrize("mode", objective.CROSS_MODES)
@pytest.mark.parametrize("name", ["tiny_vgg", "tiny_resnet", "tiny_vit"])
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
  for role in ("student", "converters"):
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients[role]):
      assert jnp.isfinite(leaf).all()
      # A key's bias adds the same to every score: softmax takes it out. The
      # norm behind a convolution takes out its bias, and rounding is left.
      if "key" not in str(path) and "conv" not in str(path):
        assert (leaf != 0).any(), path


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
  case = tiny("tiny_resnet")
  traces = 0
  loss = make_objective(case.swapnet)
  tx = optax.sgd(0.01, momentum=0.9)
  own = {k: v for k, v in case.variables.items() if k != "teacher"}
  params, stats = split(own)
  teacher = jax.tree.map(jnp.copy, case.variables["teacher"])

  @jax.jit
  def step(params, stats, opt_state, teacher, key):
    nonlocal traces
    traces += 1
    (total, out), gradients = jax.value_and_grad(loss, has_aux=True)(
      params, stats, teacher, case.x, case.labels, key
    )
    updates, opt_state = tx.update(gradients, opt_state, params)
    params = optax.apply_updates(params, updates)
    return params, out.batch_stats, opt_state, total

  opt_state, totals = tx.init(params), []
  for seed in range(8):
    before = jax.tree.structure((params, stats, opt_state))
    params, stats, opt_state, total = step(
      params, stats, opt_state, teacher, jax.random.key(seed)
    )
    assert jax.tree.structure((params, stats, opt_state)) == before
    totals.append(float(total))
  assert traces == 1
  assert totals[-1] < totals[0]
  assert trees_equal(teacher, case.variables["teacher"])
  assert not trees_equal(stats["student"], split(own)[1]["student"])


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


def test_evaluation_mode_leaves_the_statistics_alone(tiny):
  case = tiny("tiny_resnet")
  stats = split(case.variables)[1]["student"]
  assert trees_equal(found(case, train=False).batch_stats, stats)


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
    (dict(stats_rule="mean"), "both, student"),
    (dict(alpha=1.5), r"\[0, 1\]; got 1.5"),
    (dict(temperature=0), "positive"),
    (dict(sampler="papr"), "did you mean 'paper'"),
    (dict(key=None), "drawn from a key"),
    (dict(composition="TT"), "3 letters"),
    (dict(composition="TTS", cross_mode="all"), "leave it out"),
  ]
  for options, message in cases:
    with pytest.raises(ValueError, match=message):
      found(case, **options)
  odd = case.x[:7], case.labels[:7]
  with pytest.raises(ValueError, match="even number"):
    loss_parts(case.swapnet, case.variables, *odd, key=KEY)


def test_bfloat16_gives_finite_losses_near_those_of_float32(tiny):
  networks = models.create_pair("tiny_resnet", dtype=jnp.bfloat16)
  half = found(Case(SwapNet.create(*networks)))
  full = found(tiny("tiny_resnet"))
  for name in objective.PARTS:
    np.testing.assert_allclose(half.parts[name], full.parts[name], rtol=0.1)
  assert half.student_logits.dtype == jnp.float32
