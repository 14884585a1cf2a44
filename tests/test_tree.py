"""Compositions as a tree, against one after the other."""

import jax
import numpy as np
import pytest

from pwl_jax.evaluation import tree
from pwl_jax.method import composition as compositions
from tests.cases import assert_close


@pytest.mark.parametrize(
  "preset", ["tiny_vit", "tiny_resnet", "tiny_text", "tiny_audio"]
)
def test_the_tree_answers_as_every_composition_does(tiny, preset):
  case = tiny(preset)
  words = compositions.every(case.swapnet.num_units)
  found = jax.jit(tree.all_logits, static_argnums=(0, 3))(
    case.swapnet, case.variables, case.x, tuple(words)
  )
  for word, logits in zip(words, found, strict=True):
    plain = case.logits(case.variables, case.x, word)
    assert_close(logits, plain, 1e-5)
    assert (logits.argmax(-1) == plain.argmax(-1)).all()


@pytest.mark.parametrize(
  "words", [("TTS",), ("SST", "TTT", "TST"), ("SSS",) * 2]
)
def test_only_what_is_asked_for_is_run_and_once(tiny, monkeypatch, words):
  case = tiny("tiny_resnet")
  ran = []
  apply_unit = tree.apply_unit

  def counted(unit, variables, feature):
    ran.append((unit, len(feature) // len(case.x)))
    return apply_unit(unit, variables, feature)

  monkeypatch.setattr(tree, "apply_unit", counted)
  found = jax.eval_shape(
    lambda v, x: tree.all_logits(case.swapnet, v, x, words),
    case.variables,
    case.x,
  )
  assert found.shape == (len(words), len(case.x), 10)
  nodes = {word[: i + 1] for word in words for i in range(len(word))}
  assert sum(count for _, count in ran) == len(nodes)
  assert len(ran) == len({(node[-1], len(node)) for node in nodes})
  assert tree.width(words) == max(count for _, count in ran)


def test_a_composition_that_does_not_fit_is_refused(tiny):
  case = tiny("tiny_resnet")
  with pytest.raises(ValueError, match="TTSS"):
    tree.all_logits(case.swapnet, case.variables, case.x, ["TTS", "TTSS"])
  with pytest.raises(ValueError, match="does not fit"):
    tree.all_logits(case.swapnet, case.variables, np.zeros((2, 3)), ["TTS"])
