"""Texts and sounds from their files to a bundle that answers them."""

import dataclasses
import shutil

import numpy as np
import pytest

from pwl_jax import models, stages
from pwl_jax.bundle.inputs import SoundInput, TextInput
from pwl_jax.config import default_config
from pwl_jax.report.results import read
from pwl_jax.runtime import open_model
from pwl_jax.training.artefacts import load_result
from tests.checkpoints import FIXTURES


def short(config):
  config.evaluation_batch = 16
  config.export.platforms = ("cpu",)
  for name in ("teacher", "student", "distill"):
    config[name].update(epochs=1, batch_size=16)
  return config


def test_texts_from_strings_to_answers(tmp_path):
  rng = np.random.default_rng(0)
  words = np.array(["a", "fine", "film", "of", "no", "charm", "is", "dull"])
  texts = [" ".join(rng.choice(words, rng.integers(1, 20))) for _ in range(90)]
  labels = np.array(["fine" in text for text in texts], np.int32)
  np.savez(tmp_path / "texts.npz", x=np.array(texts), y=labels)
  config = short(default_config())
  config.data.update(
    name=f"arrays:{tmp_path}/texts.npz", tokens=12, vocabulary=50
  )
  config.model.preset = "tiny_text"
  stages.run(config, tmp_path / "run")
  assert load_result(tmp_path / "run" / "distill")["steps"] == 4
  results = read(tmp_path / "run" / "report" / "results.json")
  assert len(results["compositions"]) == 8
  with open_model(
    tmp_path / "run" / "bundle", cache_dir=tmp_path / "programs"
  ) as model:
    assert isinstance(model.manifest.input, TextInput)
    for word in ("SSS", "TSS", "TTT"):
      model.upgrade(to=word).wait()
      logits = model(["a fine film", "", "\u2603 unseen", "long " * 500])
      assert logits.shape == (4, 2) and np.isfinite(logits).all()
  check_another_run(config, tmp_path)


def check_another_run(config, tmp_path):
  """On the teacher of the first, and so with its tokens."""
  (tmp_path / "run" / "teacher").rename(tmp_path / "teacher")
  config.stages = "teacher,student_kd"
  config.imported.update(path=str(tmp_path / "teacher"), trains="nothing")
  with pytest.raises(ValueError, match=r"name its own as config\.data"):
    stages.run(config, tmp_path / "lost")
  config.data.update(tokenizer=str(tmp_path / "run"), vocabulary=20)
  stages.run(config, tmp_path / "other")
  first, second = (
    (tmp_path / run / "tokenizer.json").read_text() for run in ("run", "other")
  )
  assert first == second


def test_a_language_model_of_others(tmp_path, monkeypatch):
  """Its vocabulary numbers the tokens; a student has as many."""
  pair = models.PRESETS["tiny_text"]
  options = pair.common | {"num_layers": 2}
  halves = dataclasses.replace(pair, common=options)
  monkeypatch.setitem(models.PRESETS, "tiny_text", halves)
  teacher = tmp_path / "distilbert"
  shutil.copytree(FIXTURES / "huggingface" / "distilbert", teacher)
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "fine", "dull", "film"]
  (teacher / "vocab.txt").write_text("\n".join(words))
  texts, labels = ["a fine film", "a dull film"] * 40, [1, 0] * 40
  np.savez(tmp_path / "texts.npz", x=np.array(texts), y=np.array(labels))
  config = short(default_config())
  config.data.update(name=f"arrays:{tmp_path}/texts.npz", tokens=10)
  config.model.preset = "tiny_text"
  config.imported.path = str(teacher)
  config.stages = "teacher,student_kd"
  stages.run(config, tmp_path / "run")
  assert load_result(tmp_path / "run" / "student_kd")["num_classes"] == 2
  (teacher / "vocab.txt").write_text("\n".join([*words, *map(str, range(99))]))
  with pytest.raises(ValueError, match=r"knows 100 tokens.* has 106"):
    stages.run(config, tmp_path / "more")
  (teacher / "vocab.txt").write_text("\n".join(words))
  rewritten = (teacher / "config.json").read_text()
  rewritten = rewritten.replace('"pad_token_id": 0', '"pad_token_id": 1')
  (teacher / "config.json").write_text(rewritten)
  with pytest.raises(ValueError, match="takes token 1 for padding"):
    stages.run(config, tmp_path / "padded")


def test_sounds_from_samples_to_answers(tmp_path):
  rng = np.random.default_rng(0)
  labels = np.arange(90, dtype=np.int32) % 3
  times = np.arange(2000) / 8000
  pitch = 300 * 2.0 ** labels[:, None]
  waves = 8000 * np.sin(2 * np.pi * pitch * times)
  waves += rng.normal(scale=500, size=waves.shape)
  waves = waves.astype(np.int16)
  path = tmp_path / "waves.npz"
  np.savez(path, x=waves, y=labels, sample_rate=8000)
  config = short(default_config())
  config.data.update(name=f"arrays:{path}", seconds=0.25)
  config.model.preset = "tiny_audio"
  stages.run(config, tmp_path / "run")
  with open_model(
    tmp_path / "run" / "bundle", cache_dir=tmp_path / "programs"
  ) as model:
    assert model.manifest.input == SoundInput(2000, 8000)
    model.upgrade().wait()
    with pytest.raises(ValueError, match="16000 samples a second"):
      model(waves, sample_rate=16000)
    silence = np.zeros(700, np.int16)
    logits = model([waves[0], silence, np.zeros(0, np.int16)])
    assert logits.shape == (3, 3) and np.isfinite(logits).all()
    with pytest.raises(ValueError, match="give int16"):
      model(np.zeros((1, 2000), np.int64))
