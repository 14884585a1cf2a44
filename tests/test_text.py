"""Texts of different lengths: padding changes nothing, whatever else does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.method import composition, sampling
from pwl_jax.method.converters import make_converter
from pwl_jax.method.feature import Masked
from pwl_jax.method.mixed import mixed_pass
from pwl_jax.method.network import Network
from pwl_jax.method.objective import loss_parts
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models import activations
from pwl_jax.models.text import text
from tests.cases import Case, assert_close, draw, trees_equal

LENGTHS = np.array([3, 1, 8, 5, 2, 8, 7, 4])
SIZE = dict(width=8, heads=2, mlp_width=12, num_layers=2, layers_per_unit=1)


def make_ids(seed=0):
  """int32[8, 8]; behind the length of each is padding."""
  ids = np.random.default_rng(seed).integers(1, 50, size=(8, 8))
  return jnp.asarray(np.where(np.arange(8) < LENGTHS[:, None], ids, 0))


def padded(ids, more=4):
  return jnp.pad(ids, ((0, 0), (0, more)))


@pytest.fixture(scope="module")
def case():
  case = Case(SwapNet.create(*models.create_pair("tiny_text")))
  case.x, case.labels = make_ids(), case.labels % 2
  return case


def build(**options):
  """A network of two units and its variables, nothing left at zero."""
  units = text(vocab_size=50, max_length=12, **SIZE | options)
  network = Network(units, (12,), "int32")
  rng = np.random.default_rng(1)
  abstract = network.abstract_variables()
  return network, jax.tree.map(lambda leaf: draw(rng, leaf), abstract)


def forms(test):
  """Both orders of the norms, both poolings, with a pooler and without."""
  forms = [
    ("pre", "mean", None),
    ("pre", "first", "relu"),
    ("post", "mean", "tanh"),
    ("post", "first", None),
  ]
  return pytest.mark.parametrize("norm,pooling,pooler", forms)(test)


@forms
def test_padding_changes_no_answer(norm, pooling, pooler):
  network, variables = build(
    norm=norm, pooling=pooling, pooler=pooler, token_types=2
  )
  run, ids = jax.jit(network.logits), make_ids()
  logits = run(variables, ids)
  assert logits.dtype == jnp.float32
  assert_close(run(variables, padded(ids)), logits, 1e-5)
  for row in (0, 1):
    alone = run(variables, ids[row : row + 1, : LENGTHS[row]])
    assert_close(alone[0], logits[row], 1e-5)
  assert np.ptp(logits, axis=0).min() > 1e-3, "texts must differ to be told"


def test_every_position_that_counts_does():
  """By its id, and by where it stands."""
  network, variables = build()
  ids = make_ids()[2:3]
  others = [ids.at[0, i].set(ids[0, i] % 49 + 1) for i in range(8)]
  stack = jnp.concatenate([ids, ids[:, ::-1], *others])
  plain, *changed = network.logits(variables, stack)
  for other in changed:
    assert jnp.abs(other - plain).max() > 1e-4


def test_padding_is_zero_behind_a_unit_and_what_a_unit_gets_there_is_unseen():
  network, variables = build()
  ids = make_ids()
  feature = network.apply(variables, ids).features[0]
  np.testing.assert_array_equal(feature.mask, ids != 0)
  zero = (feature.values == 0).all(-1)
  np.testing.assert_array_equal(zero, ids == 0)
  last = network.units[1]
  spoiled = jnp.where(feature.mask[..., None], feature.values, 1e4)
  plain, other = (
    last.apply(variables["unit1"], Masked(values, feature.mask), train=False)
    for values in (feature.values, spoiled)
  )
  np.testing.assert_array_equal(plain, other)


@forms
def test_nothing_but_padding_has_an_answer(norm, pooling, pooler):
  """That of a pooled vector of zeros, however long the padding."""
  network, variables = build(norm=norm, pooling=pooling, pooler=pooler)
  last = variables["unit1"]["params"]
  pooled = jnp.zeros(8)
  if pooler is not None:
    pooled = activations.by_name(pooler)(last["pooler"]["bias"])
  expected = pooled @ last["head"]["kernel"] + last["head"]["bias"]
  run = jax.jit(network.logits)
  for length in (1, 12):
    ids = jnp.zeros((1, length), jnp.int32)
    assert_close(run(variables, ids)[0], expected, 1e-5)


def test_what_counts_is_told_by_the_id_of_padding():
  network, variables = build(pad_id=7)
  ids = jnp.array([[7, 0, 3, 7]])
  mask = network.apply(variables, ids).features[0].mask
  assert mask.tolist() == [[False, True, True, False]]


def test_ids_outside_of_the_vocabulary_spoil_their_own_answer_alone():
  network, variables = build()
  ids = make_ids().at[0, 1].set(50).at[3, 0].set(-1)
  wrong = jnp.isnan(network.logits(variables, ids)).all(-1)
  assert wrong.tolist() == [i in (0, 3) for i in range(8)]


def test_inputs_that_are_no_texts_are_refused():
  network, variables = build()
  cases = [
    (jnp.ones((2, 13), jnp.int32), r"\[2, 13\].*from 1 to 12"),
    (jnp.ones((2, 0), jnp.int32), r"\[2, 0\].*from 1 to 12"),
    (jnp.ones((2, 8)), 'float32.*input_dtype="int32"'),
    (jnp.ones((2, 8, 3), jnp.int32), r"expected \[b, 12\]"),
  ]
  for ids, message in cases:
    with pytest.raises(ValueError, match=message):
      network.logits(variables, ids)


@pytest.mark.parametrize(
  "options,message",
  [
    (dict(norm="port"), "norm 'port' .*did you mean 'post'"),
    (dict(pooling="max"), "pooling 'max'.*mean, first"),
    (dict(pooler="tan"), "did you mean 'tanh'.*None for no pooler"),
    (dict(activation="glu"), "did you mean 'gelu'"),
    (dict(dropout=1.0), "dropout is 1.0"),
    (dict(heads=3), "3 heads cannot share a width of 8"),
    (dict(layers_per_unit=3), r"one of \[1, 2\]"),
    (dict(token_types=-1), "token_types is -1"),
    (dict(pad_id=50), "pad_id 50 is not in a vocabulary of 50"),
  ],
)
def test_bad_options_say_what_is_allowed(options, message):
  with pytest.raises(ValueError, match=message):
    build(**options)


def test_dropout_draws_in_training_alone():
  network, variables = build(dropout=0.5)
  ids = make_ids()
  plain, variables_of_plain = build()
  assert trees_equal(variables, variables_of_plain)
  expected = plain.logits(variables, ids)
  np.testing.assert_array_equal(network.logits(variables, ids), expected)

  def train(seed):
    key = jax.random.key(seed)
    return network.apply(variables, ids, train=True, key=key).logits

  np.testing.assert_array_equal(train(0), train(0))
  assert (train(0) != train(1)).any() and (train(0) != expected).any()


def test_bfloat16_stays_near_and_keeps_float32_parameters():
  plain, variables = build()
  network, _ = build(dtype=jnp.bfloat16)
  out = network.apply(variables, make_ids())
  assert out.features[0].values.dtype == jnp.bfloat16
  assert out.logits.dtype == jnp.float32
  assert network.abstract_variables() == plain.abstract_variables()
  assert_close(out.logits, plain.logits(variables, make_ids()), 0.05)


def test_every_composition_runs_and_gives_an_answer_of_its_own(case):
  answers = set()
  for word in composition.every(case.swapnet.num_units):
    logits = case.logits(case.variables, case.x, word)
    assert jnp.isfinite(logits).all()
    answers.add(np.asarray(logits).tobytes())
  assert len(answers) == 2**case.swapnet.num_units


@pytest.mark.parametrize("sampler", sampling.SAMPLERS)
def test_every_example_gets_its_own_composition(case, sampler):
  """The mixed batch is padded further than the compositions alone."""
  sampler = sampling.get_sampler(sampler)
  masks = sampler.masks(jax.random.key(0), 8, 3)
  counts = sampler.teacher_counts(8, 3)
  run = jax.jit(mixed_pass, static_argnums=(0, 4))
  ids = padded(case.x)
  found = run(case.swapnet, case.variables, ids, masks, counts).logits
  words = [composition.from_bits(row) for row in np.asarray(masks)]
  whole = {w: case.logits(case.variables, case.x, w) for w in set(words)}
  expected = jnp.stack([whole[word][i] for i, word in enumerate(words)])
  assert_close(found, expected, 1e-5)


@pytest.mark.parametrize("cross_mode", ["random", "all"])
def test_losses_and_gradients_do_not_depend_on_padding(case, cross_mode):
  """Rows of nothing but padding among the others."""
  ids = case.x.at[0].set(0)

  @jax.jit
  def run(trained, ids):
    def total(trained):
      found = loss_parts(
        case.swapnet,
        case.variables | trained,
        ids,
        case.labels,
        key=jax.random.key(0),
        cross_mode=cross_mode,
      )
      return found.total, found.parts

    return jax.grad(total, has_aux=True)(trained)

  trained = {k: case.variables[k] for k in ("student", "converters")}
  (grads, parts), more = run(trained, ids), run(trained, padded(ids))
  for name, part in parts.items():
    assert part > 1e-4
    assert_close(more[1][name], part, 1e-5)
  scale = max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(grads))
  for a, b in zip(*map(jax.tree.leaves, (grads, more[0])), strict=True):
    assert jnp.isfinite(a).all()
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * scale)
  words = grads["student"]["unit0"]["params"]["embed"]["words"]
  used = np.isin(np.arange(50), ids[ids > 0])
  np.testing.assert_array_equal((words != 0).any(-1), used)


def test_fitted_converters_do_not_depend_on_padding(case):
  fitted, more = (
    case.swapnet.fit_converters(case.variables, ids)
    for ids in (case.x, padded(case.x))
  )
  jax.tree.map(lambda a, b: assert_close(b, a, 1e-3), fitted, more)


@pytest.mark.parametrize("kind", ["linear", "orthogonal", "residual"])
def test_a_fit_sees_no_padding(kind):
  """As if only the positions that count had been there."""
  rng = np.random.default_rng(0)
  teacher, student = rng.normal(size=(4, 9, 5)), rng.normal(size=(4, 9, 3))
  mask = np.arange(9) < np.array([[9], [4], [6], [1]])
  converter = make_converter(kind, 5, 3)
  whole = converter.fit(
    *(jnp.asarray(f[mask], jnp.float32) for f in (teacher, student))
  )
  found = jax.jit(converter.fit)(
    *(
      Masked(jnp.asarray(f, jnp.float32), jnp.asarray(mask))
      for f in (teacher, student)
    )
  )
  for actual, golden in zip(
    jax.tree.leaves(found), jax.tree.leaves(whole), strict=True
  ):
    np.testing.assert_allclose(actual, golden, atol=1e-4)
