"""The mixed batch is the composition forward, example by example."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import flatten_util

from pwl_jax.method import composition, losses, sampling
from pwl_jax.method.mixed import NOTHING, mixed_pass
from tests.cases import Case, assert_close

TINY = ["tiny_vgg", "tiny_resnet", "tiny_vit", "tiny_text", "tiny_audio"]


def draw(case, sampler, seed=0):
  sampler = sampling.get_sampler(sampler)
  size = len(case.x), case.swapnet.num_units
  return sampler.masks(jax.random.key(seed), *size), sampler.teacher_counts(
    *size
  )


def train(case, masks, counts):
  run = functools.partial(mixed_pass, case.swapnet, train=True)
  return jax.jit(run, static_argnums=3)(case.variables, case.x, masks, counts)


def one_by_one(case, variables, masks):
  """Each example's logits by its own composition, from whole-batch runs."""
  words = [composition.from_bits(row) for row in np.asarray(masks)]
  distinct = sorted(set(words))
  whole = jnp.stack([case.logits(variables, case.x, word) for word in distinct])
  which = jnp.array([distinct.index(word) for word in words])
  return whole[which, jnp.arange(len(words))]


@pytest.mark.parametrize("sampler", sampling.SAMPLERS)
@pytest.mark.parametrize("converter", ["linear", "orthogonal", "residual"])
@pytest.mark.parametrize("name", TINY)
def test_every_example_gets_its_own_composition(tiny, name, converter, sampler):
  case = tiny(name, converter)
  masks, counts = draw(case, sampler)
  run = jax.jit(mixed_pass, static_argnums=(0, 4))
  found = run(case.swapnet, case.variables, case.x, masks, counts).logits
  assert_close(found, one_by_one(case, case.variables, masks), 1e-5)


@pytest.mark.parametrize("sampler", ["paper", "prefix"])
@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_text"])
def test_a_pass_of_a_network_spares_what_it_has_run(tiny, name, role, sampler):
  """Without the leading counts the first unit, with them what they say."""
  case = Case(tiny(name).swapnet, batch=64)
  masks, counts = draw(case, sampler)
  letter, network = role[0].upper(), getattr(case.swapnet, role)
  size = len(case.x), case.swapnet.num_units
  leading = sampling.get_sampler(sampler).leading_counts(*size)
  whole = case.variables[role]
  own = {letter: jax.jit(network.apply)(whole, case.x)}

  @functools.partial(jax.jit, static_argnames=("absent", "use"))
  def run(absent, passes, use=False):
    """Without the numbers of a unit, so that what runs it is NaN."""
    nan = jax.tree.map(lambda leaf: leaf * jnp.nan, whole[absent])
    variables = case.variables | {role: whole | {absent: nan}}
    args = case.swapnet, variables, case.x, masks, counts
    known = leading if use else {}
    return mixed_pass(*args, passes=passes, leading_counts=known).logits

  def runs(absent, **options):
    return int(jnp.isnan(run(absent, **options)).any(axis=1).sum())

  expected = one_by_one(case, case.variables, masks)
  assert_close(run("unit0", passes=own), expected, 1e-5)
  assert_close(run("unit0", passes=own, use=True), expected, 1e-5)
  own_counts = [c if role == "teacher" else len(case.x) - c for c in counts]
  assert runs("unit0", passes={}) == own_counts[0]
  assert runs("unit1", passes=own) == own_counts[1]
  least = own_counts[1] - leading[letter][1]
  together = 8 if name == "tiny_resnet" else 1
  assert runs("unit1", passes=own, use=True) == -(-least // together) * together


def test_gradients_are_those_of_the_compositions(tiny):
  case = tiny("tiny_vit")
  rows = jnp.array([[True, False, True], [False, True, False]])
  masks = rows[jnp.array([0, 1, 1, 0, 1, 0, 0, 1])]

  def mixed(variables):
    out = mixed_pass(case.swapnet, variables, case.x, masks, (4, 4, 4))
    return losses.hard_loss(out.logits, case.labels).mean()

  def plain(variables):
    logits = one_by_one(case, variables, masks)
    return losses.hard_loss(logits, case.labels).mean()

  # As one vector: gradients that should be zero are rounding on its scale.
  found, expected = (
    flatten_util.ravel_pytree(jax.jit(jax.grad(f))(case.variables))[0]
    for f in (mixed, plain)
  )
  assert_close(found, expected, 1e-5)


def test_one_trace_serves_all_keys(tiny):
  case = tiny("tiny_resnet")
  sampler = sampling.get_sampler("paper")
  counts = sampler.teacher_counts(len(case.x), 3)
  traces = 0

  @jax.jit
  def run(key):
    nonlocal traces
    traces += 1  # Runs only while tracing.
    masks = sampler.masks(key, len(case.x), 3)
    return mixed_pass(
      case.swapnet, case.variables, case.x, masks, counts, train=True
    ).logits

  answers = {np.asarray(run(jax.random.key(k))).tobytes() for k in range(8)}
  assert traces == 1
  assert len(answers) == 8


def test_training_uses_the_statistics_of_the_students_half(tiny):
  """Where masks put whole blocks on one network, by hand."""
  case = tiny("tiny_resnet")
  masks = jnp.repeat(
    jnp.array([[True, False, True], [False, True, False]]), 4, axis=0
  )
  found = train(case, masks, (4, 4, 4))
  compose = jax.jit(
    functools.partial(case.swapnet.compose, train=True), static_argnums=2
  )
  first, second = (
    compose(case.variables, x, word)
    for x, word in ((case.x[:4], "TST"), (case.x[4:], "STS"))
  )
  expected = jnp.concatenate([first.logits, second.logits])
  assert_close(found.logits, expected, 1e-5)
  stats = first.batch_stats | second.batch_stats
  assert set(found.batch_stats) == set(stats) == {"unit0", "unit1", "unit2"}
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found.batch_stats, stats)


def test_units_that_no_example_needs_do_not_run(tiny):
  """Prefixes always begin with the teacher and end with the student."""
  case = tiny("tiny_resnet")
  masks, counts = draw(case, "prefix")
  assert counts[0] == 8 and counts[-1] == 0
  found = train(case, masks, counts)
  assert jnp.isfinite(found.logits).all()
  assert set(found.batch_stats) == {"unit1", "unit2"}


def test_masks_that_do_not_fit_are_refused(tiny):
  case = tiny("tiny_resnet")
  masks, counts = draw(case, "paper")

  def run(masks, counts, leading=NOTHING):
    args = case.swapnet, case.variables, case.x, masks, counts
    mixed_pass(*args, leading_counts=leading)

  with pytest.raises(ValueError, match=r"masks of shape \(8, 2\)"):
    run(masks[:, :2], counts)
  with pytest.raises(ValueError, match=r"masks of shape \(6, 3\)"):
    run(masks[:6], counts)
  with pytest.raises(ValueError, match="teacher counts say"):
    run(masks.at[0, 0].set(~masks[0, 0]), counts)
  for letter in "TS":
    message = f"run {letter} alone up to each unit, but the leading counts say"
    with pytest.raises(ValueError, match=message):
      run(masks, counts, {letter: (4, 4, 0)})
  with pytest.raises(ValueError, match="even number"):
    draw_odd = sampling.get_sampler("paper").masks
    draw_odd(jax.random.key(0), 7, 3)
