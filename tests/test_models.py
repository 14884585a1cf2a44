"""The presets' sizes, the shapes of their features, and the shared layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec

from pwl_jax import models
from pwl_jax.method.feature import values_of
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import count_parameters
from pwl_jax.models import activations, layers
from pwl_jax.models.__main__ import main
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit
from tests.cases import assert_close


def halves(side, *widths):
  """Images that halve from one boundary to the next."""
  return [(side >> i, side >> i, width) for i, width in enumerate(widths)]


# Teacher and student: parameters, and the features between the units.
VGG = (14_728_266, halves(16, 64, 128, 256, 512))
RESNET = (5_338_762, halves(32, 32, 64, 128))
TABLE = {
  "lenet5": (
    (62_006, [(14, 14, 6), (5, 5, 16), (120,)]),
    (35_970, [(14, 14, 3), (5, 5, 8), (120,)]),
  ),
  "vgg": (VGG, (3_918_858, VGG[1])),
  "vgg_narrow": (VGG, (982_538, halves(16, 32, 64, 128, 256))),
  "tiny_vgg": ((8_666, halves(8, 8, 16)), (1_802, halves(8, 4, 8))),
  "resnet": (RESNET, (1_241_226, RESNET[1])),
  "resnet_narrow": (RESNET, (318_186, halves(32, 16, 32, 64))),
  "resnet50_resnet18": (
    (25_557_032, halves(56, 256, 512, 1024)),
    (11_689_512, halves(56, 64, 128, 256)),
  ),
  "tiny_resnet": ((44_370, halves(16, 8, 16)), (5_514, halves(16, 4, 8))),
  "small_vgg": (
    (295_770, halves(16, 16, 32, 64)),
    (25_418, halves(16, 8, 16, 32)),
  ),
  "small_resnet": (
    (701_466, halves(32, 16, 32, 64)),
    (78_954, halves(32, 8, 16, 32)),
  ),
  "small_vit": ((460_906, [(65, 96)] * 2), (55_338, [(65, 32)] * 2)),
  "digits_resnet": ((174_970, halves(8, 16, 32)), (2_142, halves(8, 4, 6))),
  "vit": ((5_526_346, [(197, 192)] * 5), (2_857_162, [(197, 192)] * 5)),
  "vit_reference": (
    (5_525_962, [(197, 192)] * 5),
    (2_856_778, [(197, 192)] * 5),
  ),
  "vit_small_tiny": (
    (22_050_664, [(197, 384)] * 5),
    (5_717_416, [(197, 192)] * 5),
  ),
  "vit_base_tiny": (
    (86_567_656, [(197, 768)] * 5),
    (5_717_416, [(197, 192)] * 5),
  ),
  "vit_cifar": ((5_362_762, [(65, 192)] * 5), (683_242, [(65, 96)] * 5)),
  "tiny_vit": ((14_618, [(17, 16)] * 2), (2_442, [(17, 8)] * 2)),
  "tiny_text": ((7_730, [(12, 16)] * 2), (2_330, [(12, 8)] * 2)),
  "tiny_audio": (
    (44_354, [(8, 20, 8), (4, 10, 16)]),
    (5_498, [(8, 20, 4), (4, 10, 8)]),
  ),
  "small_audio": (
    (701_434, [(32, 20, 16), (16, 10, 32), (8, 5, 64)]),
    (17_466, [(32, 20, 8), (16, 10, 12), (8, 5, 16)]),
  ),
  "audio": (
    (5_337_610, [(64, 40, 32), (32, 20, 64), (16, 10, 128)]),
    (317_034, [(64, 40, 16), (32, 20, 32), (16, 10, 64)]),
  ),
  "audio_vit": ((2_692_042, [(41, 192)] * 2), (682_474, [(41, 96)] * 2)),
  "small_text": ((1_562_626, [(64, 128)] * 3), (292_354, [(64, 32)] * 3)),
  "bert_text": (
    (109_483_778, [(128, 768)] * 5),
    (11_335_106, [(128, 192)] * 5),
  ),
}


def test_every_preset_is_in_the_table():
  assert set(TABLE) == set(models.PRESETS)


@pytest.mark.parametrize("name", TABLE)
def test_parameters_and_shapes(name):
  preset = models.PRESETS[name]
  swapnet = SwapNet.create(*models.create_pair(name))
  for role, (parameters, shapes) in zip(models.ROLES, TABLE[name], strict=True):
    network = getattr(swapnet, role)
    assert count_parameters(network.abstract_variables()) == parameters
    assert getattr(preset, role).parameters == parameters
    assert network.shapes() == (*shapes, (preset.num_classes,))
    assert network.num_classes == preset.num_classes
  num_units = swapnet.num_units
  composition = ("TS" * num_units)[:num_units]
  logits = jax.eval_shape(
    lambda key, x: swapnet.logits(swapnet.init(key), x, composition),
    jax.random.key(0),
    jnp.zeros((3, *preset.input_shape), preset.input_dtype),
  )
  assert logits.shape == (3, preset.num_classes)
  assert logits.dtype == jnp.float32


def test_texts_and_sounds_as_the_data_are():
  network = models.create(
    "tiny_text", "student", input_shape=(20,), vocab_size=70
  )
  shapes = network.abstract_variables()["unit0"]["params"]["embed"]
  assert shapes["words"].shape == (70, 8)
  assert shapes["positions"].shape == (20, 8)
  # Half a second each.
  slow, fast = (
    models.create(
      "tiny_audio", "student", input_shape=(rate // 2,), sample_rate=rate
    )
    for rate in (8000, 16000)
  )
  assert slow.shapes() == fast.shapes()


def test_other_classes_and_images():
  teacher, student = models.create_pair(
    "vit", num_classes=7, input_shape=(64, 48, 1)
  )
  assert teacher.shapes() == student.shapes()
  assert teacher.shapes()[0] == (1 + 4 * 3, 192)
  assert teacher.num_classes == 7


def test_a_text_network_takes_fewer_tokens_than_it_has_positions_for():
  teacher, student = models.create_pair("tiny_text", input_shape=(5,))
  assert teacher.input_dtype == student.input_dtype == "int32"
  assert teacher.shapes()[0] == (5, 16)
  whole = models.create("tiny_text", "teacher")
  assert teacher.abstract_variables() == whole.abstract_variables()


@pytest.mark.parametrize(
  "name",
  ["lenet5", "tiny_vgg", "tiny_resnet", "vit", "tiny_text", "tiny_audio"],
)
def test_bfloat16_computes_in_it_and_keeps_float32_parameters(name):
  network = models.create(name, "student", dtype=jnp.bfloat16)

  def run(key, x):
    variables = network.init(key)
    return variables, network.apply(variables, x, train=True)

  x = jnp.zeros((2, *network.input_shape), network.input_dtype)
  variables, out = jax.eval_shape(run, jax.random.key(0), x)
  kept = jax.tree.leaves((variables, out.batch_stats))
  assert {leaf.dtype for leaf in kept} == {jnp.dtype("float32")}
  assert {values_of(f).dtype for f in out.features} == {jnp.dtype("bfloat16")}
  assert out.logits.dtype == jnp.float32


@pytest.mark.parametrize(
  "sides,window", [((6, 6), 2), ((7, 5), 2), ((9, 7), 3)]
)
def test_windows_side_by_side_pool_as_all_others(sides, window):
  def plain(x):
    return nn.max_pool(x, (window, window), (window, window))

  def pool(x):
    return layers.max_pool(x, window, window)

  x = np.random.default_rng(0).normal(size=(2, *sides, 3))
  x = jnp.asarray(x, jnp.float32)
  assert pool(x).tolist() == plain(x).tolist()
  found, expected = (
    jax.grad(lambda x, f=f: (f(x) ** 2).sum())(x) for f in (pool, plain)
  )
  assert found.tolist() == expected.tolist()
  assert np.isnan(pool(x.at[0, 0, 0, 0].set(jnp.nan))[0, 0, 0, 0])


@pytest.mark.parametrize("side,size", [(7, 7), (8, 4), (7, 3), (1, 7), (5, 1)])
def test_adaptive_mean_is_the_mean_of_each_window(side, size):
  x = np.random.default_rng(0).normal(size=(2, side, side + 1, 3))

  def window(i, length):
    return slice(i * length // size, -(-(i + 1) * length // size))

  expected = [
    [
      x[:, window(i, side), window(j, side + 1)].mean(axis=(1, 2))
      for j in range(size)
    ]
    for i in range(size)
  ]
  found = layers.adaptive_mean(jnp.asarray(x, jnp.float32), size)
  assert_close(found, np.transpose(expected, (2, 0, 1, 3)), 1e-6)


def test_strided_convolutions_pad_both_sides_alike():
  """The first output of a 3x3 of stride 2 is centred on the first pixel."""
  conv = layers.conv(1, 3, 2, dtype=jnp.float32, name="conv")
  center = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1)
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  out = conv.apply({"params": {"kernel": center}}, x)
  assert out.ravel().tolist() == [0, 2, 8, 10]


def on_four_devices(how, run, x):
  """run(x) with a fourth of the batch on each device, and the results joined.

  Its first result is [b, ...]; all others are averaged over the devices.
  """

  def share(x):
    first, *others = run(x)
    return first, *jax.lax.pmean(others, "rows")

  if how == "pmap":
    shares = x.reshape(4, -1, *x.shape[1:])
    first, *others = jax.pmap(share, axis_name="rows")(shares)
    return first.reshape(-1, *first.shape[2:]), *[
      jax.tree.map(lambda a: a[0], tree) for tree in others
    ]
  mesh = jax.sharding.Mesh(jax.devices()[:4], ("rows",))
  rows, everywhere = PartitionSpec("rows"), PartitionSpec()
  return jax.jit(
    jax.shard_map(
      share,
      mesh=mesh,
      in_specs=rows,
      out_specs=(rows, everywhere, everywhere),
      check_vma=False,
    )
  )(x)


@pytest.mark.parametrize(
  "name,how",
  [
    *(("tiny_resnet", "pmap"), ("tiny_resnet", "shard_map")),
    *(("tiny_vgg", "pmap"), ("tiny_audio", "pmap")),
  ],
)
def test_synchronised_batch_norms_see_the_batch_of_all_devices(tiny, name, how):
  """Answers, running averages and gradients are those of one device."""
  case = tiny(name)
  variables = case.variables["student"]
  alone = case.swapnet.student
  synced = models.create(name, "student", sync_axis="rows")

  def run(network, x):
    def loss(variables):
      found = network.apply(variables, x, train=True)
      return jnp.mean(found.logits**2), found

    grads, found = jax.grad(loss, has_aux=True)(variables)
    params = {name: unit["params"] for name, unit in grads.items()}
    return found.logits, found.batch_stats, params

  expected = jax.jit(functools.partial(run, alone))(case.x)
  found = on_four_devices(how, functools.partial(run, synced), case.x)
  jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found[:2], expected[:2])
  # All on one scale: before a batch norm the gradient of a bias is nothing.
  gradients = (ravel_pytree(result[2])[0] for result in (found, expected))
  assert_close(*gradients, 1e-5)
  apart = on_four_devices(how, functools.partial(run, alone), case.x)
  assert np.abs(apart[0] - expected[0]).max() > 1e-2


@pytest.mark.parametrize(
  "name",
  [
    *("lenet5", "tiny_vgg", "tiny_resnet", "tiny_vit"),
    *("tiny_text", "tiny_audio"),
  ],
)
def test_a_synchronised_network_is_the_same_outside_of_devices(name):
  plain = models.create(name, "student")
  synced = models.create(name, "student", sync_axis="rows")
  has_stats = any(
    "batch_stats" in u for u in synced.abstract_variables().values()
  )
  assert (synced != plain) == has_stats
  assert synced.abstract_variables() == plain.abstract_variables()
  assert synced.shapes() == plain.shapes()
  assert models.with_sync_axis(synced, None) == plain


def shapes(name, input_shape):
  return models.create(name, "student", input_shape=input_shape).shapes()


def test_bad_options_say_what_is_allowed():
  small = dict(width=8, heads=2, mlp_width=8, num_layers=6)
  cases = [
    (lambda: models.create("resnt", "teacher"), "did you mean 'resnet'"),
    (lambda: models.create("resnt", "teacher"), r"docs/extending\.md"),
    (lambda: models.create("vgg", "techer"), "did you mean 'teacher'"),
    (lambda: resnet((4, 8), (1,)), r"widths \(4, 8\), depths \(1,\)"),
    (lambda: resnet((4,), (1,), block="basc"), "did you mean 'basic'"),
    (lambda: resnet((4,), (1,), stem="imgnet"), "did you mean 'imagenet'"),
    (lambda: vgg((4,), (1, 1)), r"widths \(4,\), depths \(1, 1\)"),
    (lambda: vit(**small, layers_per_unit=4), r"one of \[1, 2, 3, 6\]"),
    (lambda: vit(**small, layers_per_unit=(4, 4)), "hold 8, .* has 6"),
    (lambda: vit(**small | {"heads": 3}, layers_per_unit=1), "3 heads"),
    (lambda: activations.by_name("rlu"), "did you mean 'relu'"),
    (lambda: models.create("vgg", "student", input_shape=(9, 9)), "3 numbers"),
    (lambda: shapes("vit", (30, 32, 3)), "do not tile"),
    (lambda: models.create("tiny_vgg", "student", vocab_size=9), "images"),
    (lambda: models.create("tiny_text", "student", sample_rate=9), "_audio"),
    (lambda: shapes("vgg", (16, 16, 3)), "image is too small: 1x1"),
    (lambda: shapes("lenet5", (12, 32, 3)), "image is too small: 4x14"),
  ]
  for build, message in cases:
    with pytest.raises(ValueError, match=message):
      build()


def deep():
  """Twelve units, whose names do not sort as they run."""
  size = models.Size(0, widths=(2,) * 12, depths=(1,) * 12, pool_stride=1)
  return models.Preset(vgg, size, size, (16, 16, 1), 2)


def test_the_listing_shows_units_and_widths(capsys, monkeypatch):
  main(["lenet5"])
  line = "62,006 = 456 |6| 2,416 |16| 48,120 |120| 11,014"
  assert line in capsys.readouterr().out
  monkeypatch.setitem(models.PRESETS, "deep", deep())
  main(["deep"])
  title, teacher, _ = capsys.readouterr().out.splitlines()[-3:]
  assert "12 units" in title and teacher.endswith("|2| 48")
  main(["lenet5", "tiny_text"])
  shown = capsys.readouterr().out
  assert "images 32x32x3" in shown and "texts of 12 tokens" in shown
  with pytest.raises(ValueError, match="did you mean 'lenet5'"):
    main(["lenet"])
