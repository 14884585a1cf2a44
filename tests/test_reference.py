"""Parity with the authors' PyTorch code, on checkpoints that it wrote."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.interop import load_reference
from pwl_jax.method import composition
from pwl_jax.method.objective import loss_parts
from tests.cases import assert_close
from tests.checkpoints import FIXTURES, Golden, change_config, changed

REFERENCE = ["lenet5", "vgg", "resnet", "vit"]
# Our names of the parts -> those of the golden files.
PARTS = {
  "hard": "hard",
  "soft": "soft",
  "feature": "feat_sync",
  "reconstruction": "feat_recon",
  "cross": "cross_all",
}


@functools.cache
def reference(family):
  directory = FIXTURES / "reference" / family
  return *load_reference(directory), Golden(directory)


@pytest.mark.parametrize("family", REFERENCE)
def test_every_composition_answers_as_the_authors_code(family):
  swapnet, variables, golden = reference(family)
  expected = golden.named("logits_")
  assert set(expected) == set(composition.every(swapnet.num_units))
  for word, logits in expected.items():
    assert_close(swapnet.logits(variables, golden.x, word), logits)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("family", REFERENCE)
def test_losses_are_those_of_the_authors_code(family, mode):
  swapnet, variables, golden = reference(family)

  @functools.partial(jax.jit, static_argnames=("composition", "cross_mode"))
  def run(variables, x, labels, **options):
    return loss_parts(
      swapnet, variables, x, labels, train=mode == "train", **options
    ).parts

  batch = variables, golden.x, jnp.asarray(golden.arrays["labels"])
  parts = run(*batch, cross_mode="all")
  for ours, theirs in PARTS.items():
    assert_close(parts[ours], golden.arrays[f"loss_{mode}_{theirs}"])
  for word, loss in golden.named(f"loss_{mode}_cross_").items():
    if word != "all":
      assert_close(run(*batch, composition=word)["cross"], loss)


def test_fewer_classes(tmp_path):
  """A head cut down to three classes gives the first three logits."""
  *_, golden = reference("lenet5")

  def keep_three(tensors):
    for name in tensors:
      if "classifier" in name:
        tensors[name] = tensors[name][:3]

  directory = changed(FIXTURES / "reference/lenet5", tmp_path, keep_three)
  for role in ("teacher", "student"):
    change_config(
      directory / f"{role}_config", id2label={str(i): str(i) for i in range(3)}
    )
  swapnet, variables = load_reference(directory)
  assert swapnet.teacher.num_classes == 3
  logits = swapnet.logits(variables, golden.x, "TSTS")
  assert_close(logits, golden.arrays["logits_TSTS"][:, :3])


def test_a_linear_converter_between_equal_widths(tmp_path):
  """The file decides: one that changes nothing still is a converter."""
  swapnet, _, golden = reference("lenet5")
  assert not swapnet.has_converter(2)

  def add_converter(tensors):
    for half in ("encoders", "decoders"):
      name = f"swapnet.{half}.2.linear"
      tensors[f"{name}.weight"] = 2 * np.eye(120, dtype=np.float32)
      tensors[f"{name}.bias"] = np.ones(120, np.float32)

  directory = changed(FIXTURES / "reference/lenet5", tmp_path, add_converter)
  swapnet, variables = load_reference(directory)
  assert swapnet.has_converter(2)
  feature = jnp.ones((1, 120))
  assert (swapnet.encode(variables, 2, feature) == 3).all()
  unchanged = swapnet.logits(variables, golden.x, "TSSS")
  assert_close(unchanged, golden.arrays["logits_TSSS"])


def test_half_a_converter_is_no_converter(tmp_path):
  def drop(tensors):
    del tensors["swapnet.encoders.1.linear.bias"]

  directory = changed(FIXTURES / "reference/lenet5", tmp_path, drop)
  with pytest.raises(
    ValueError, match=r"encoders\.1\.linear\.bias: expected \[8\], found no"
  ):
    load_reference(directory)


def test_the_unused_norm_of_a_vit_is_checked_all_the_same(tmp_path):
  name = "swapnet.teacher.vit.blocks.3.2.module.weight"

  def shorten(tensors):
    assert tensors[name].shape == (48,)
    tensors[name] = tensors[name][:47]

  directory = changed(FIXTURES / "reference/vit", tmp_path, shorten)
  with pytest.raises(ValueError, match=r"3\.2.*expected \[48\], found \[47\]"):
    load_reference(directory)
