"""Playing bundles of texts and of sounds: what is asked, shown and said."""

import contextlib

import numpy as np
import pytest
from play_cases import in_terminal, play_json, player

from pwl_jax import models
from pwl_jax.bundle.inputs import SoundInput, TextInput
from pwl_jax.data.sources import load_dataset
from pwl_jax.data.tokens import train_tokenizer
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.play import alone, screen
from pwl_jax.report import serving
from pwl_jax.runtime.snapshot import Snapshot
from tests.cases import Case
from tests.test_text_bundle import write
from tests.toy_texts_and_waves import WAVE, label, write_set

NAMES = {
  "texts": ("negative", "positive"),
  "sounds": tuple(map(str, range(10))),
}
SOUNDS = "tfds:spoken_digit:1.0.0"
LENGTH, RATE = 2000, 8000  # Samples of the small network.


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
  """Where texts and sounds lie, and what the test texts are."""
  folder = tmp_path_factory.mktemp("sets")
  rng = np.random.default_rng(0)
  words = ["fine", "dull", "[bold]film[/bold]", "漢字", "a\nline"]
  texts = [" ".join(rng.choice(words, 1 + i % 9)) for i in range(40)]
  labels = np.arange(40) % 2
  np.savez(
    folder / "texts.npz",
    **dict(x=texts[:30], y=labels[:30], x_test=texts[30:], y_test=labels[30:]),
  )
  waves = rng.integers(-(2**15), 2**15, (40, LENGTH))
  rows = [
    {"audio": wave[: LENGTH - 9 * i].tolist(), "label": i % 10}
    for i, wave in enumerate(waves)
  ]
  features = {"audio": WAVE, "label": label(10)}
  splits = {"train": rows[:30], "test": rows[30:]}
  for name in ("spoken_digit", "speech_commands"):  # 8 and 16 kHz.
    write_set(folder, splits, features, name=name)
  return folder, texts[30:]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, sets):
  """By kind; each names its set and knows its fingerprint."""
  folder, _ = sets
  tokenizer = train_tokenizer(["a fine film", "dull"] * 3, vocab_size=50)
  texts = f"arrays:{folder}/texts.npz"
  text_set = load_dataset(texts, tokens=12, tokenizer=tokenizer)
  sound_set = load_dataset(SOUNDS, data_dir=str(folder), seconds=LENGTH / RATE)
  found = {}
  for kind, preset, input, dataset in (
    ("texts", "tiny_text", TextInput(12, tokenizer), text_set),
    ("sounds", "tiny_audio", SoundInput(LENGTH, RATE), sound_set),
  ):
    case = Case(SwapNet.create(*models.create_pair(preset)))
    found[kind] = tmp_path_factory.mktemp(kind) / "bundle"
    config = {
      "data.name": {"texts": texts, "sounds": SOUNDS}[kind],
      "data.data_dir": str(folder),
      "data.fingerprint": dataset.fingerprint,
    }
    write(found[kind], case, input, class_names=NAMES[kind], config=config)
  return found


@pytest.fixture
def play(bundles, tmp_path, tmp_path_factory, monkeypatch, capsys):
  """play(*flags, where=bundle), as in play_cases."""
  return player(
    bundles["texts"],
    folder=tmp_path_factory.getbasetemp() / "programs",
    tmp_path=tmp_path,
    monkeypatch=monkeypatch,
    capsys=capsys,
  )


@pytest.fixture
def asked(monkeypatch):
  """All requests, as the model is given them."""
  requests, answer = [], Snapshot.__call__

  def noting(snapshot, examples):
    requests.append(examples)
    return answer(snapshot, examples)

  monkeypatch.setattr(Snapshot, "__call__", noting)
  return requests


@pytest.fixture
def lines(monkeypatch):
  """All that a terminal shows meanwhile."""
  found = []

  @contextlib.contextmanager
  def shown(title, plainly):
    def show(scene):
      view = screen.view(scene, title, plainly, rows=20, columns=80)
      found.extend(in_terminal(view, 80))

    yield show

  monkeypatch.setattr(screen, "shown", shown)
  return found


def notes_of(errors):
  """What is said of the examples, between what is said always."""
  first, *lines = errors.splitlines()
  assert first.startswith("reading the ")
  while lines and lines[-1].endswith(" ..."):
    lines.pop()
  return lines


@contextlib.contextmanager
def taken_away(path):
  """For a while."""
  elsewhere = path.rename(path.with_name("elsewhere"))
  try:
    yield
  finally:
    elsewhere.replace(path)


def test_texts_are_asked_as_they_were_written(play, sets, asked, lines):
  code, found, _, errors = play("--batch=3")
  assert code == 0 and notes_of(errors) == []
  assert found["kind"] == "texts" and found["failed_requests"] == 0
  assert found["rungs"][-1]["composition"] == "TTT"
  assert 0 <= found["rungs"][0]["accuracy"] <= 1
  assert all(isinstance(request, list) for request in asked)
  assert all(len(request) == 3 for request in asked)
  assert set().union(*asked) <= set(sets[1])
  answers = [line for line in lines if line.startswith("last answer")]
  texts = {" ".join(text.split()) for text in sets[1]}
  for answer in answers:
    text, _, rest = answer.removeprefix("last answer").strip().rpartition('": ')
    assert any(whole.startswith(text.strip('"… ')) for whole in texts)
    assert rest.startswith(("negative (", "positive ("))
  assert answers and "% of held-out texts right" in " ".join(lines)


def test_the_right_answer_is_that_of_the_text(play, sets, monkeypatch):
  """Whatever their order is: this model knows them by heart."""
  known = {text: i % 2 for i, text in enumerate(sets[1])}

  def answer(snapshot, texts):
    return np.eye(2, dtype=np.float32)[[known[text] for text in texts]]

  monkeypatch.setattr(Snapshot, "__call__", answer)
  code, found, *_ = play("--batch=10")
  assert code == 0 and {rung["accuracy"] for rung in found["rungs"]} <= {
    1,
    None,
  }


def test_sounds_are_asked_as_samples(play, bundles, asked, lines):
  code, found, _, errors = play("--batch=2", where=bundles["sounds"])
  assert code == 0 and notes_of(errors) == []
  assert found["kind"] == "sounds" and found["rungs"][0]["accuracy"] is not None
  forms = {(request.dtype.name, request.shape) for request in asked}
  assert forms == {("int16", (2, LENGTH))}
  text = " ".join(lines)
  assert "% of held-out sounds right" in text and "last answer" in text


@pytest.mark.parametrize("kind", ["texts", "sounds"])
def test_where_the_set_is_missing_it_is_noise(
  play, bundles, sets, asked, lines, kind
):
  file = {"texts": "texts.npz", "sounds": "spoken_digit"}[kind]
  with taken_away(sets[0] / file):
    code, found, _, errors = play(where=bundles[kind])
  assert code == 0 and found["data"] == "noise"
  (note,) = notes_of(errors)
  assert note.startswith(f"no test {kind} (") and "noise instead" in note
  assert {rung["accuracy"] for rung in found["rungs"]} == {None}
  dtype, length = {"texts": ("int32", 12), "sounds": ("int16", LENGTH)}[kind]
  forms = {(request.dtype.name, request.shape) for request in asked}
  assert forms == {(dtype, (1, length))}
  assert len({request.tobytes() for request in asked}) > 1
  (answer, *_) = (line for line in lines if line.startswith("last answer"))
  assert '"' not in answer


@pytest.mark.parametrize(
  "kind,data,said",
  [
    ("texts", "digits", "digits has images, and the bundle takes texts; give"),
    ("sounds", "digits", "digits has images, and the bundle takes sounds"),
    ("texts", SOUNDS, "has sounds, and the bundle takes texts"),
    ("sounds", "arrays:{}/texts.npz", "has texts, and the bundle takes sounds"),
    (
      "sounds",
      "tfds:speech_commands:1.0.0",
      "has 16,000 samples a second, and the bundle takes 8,000",
    ),
  ],
)
def test_another_kind_of_data_is_refused(play, bundles, sets, kind, data, said):
  data = f"--data={data.format(sets[0])}"
  code, found, _, errors = play(data, where=bundles[kind])
  assert code == 1 and found is None
  (note,) = notes_of(errors)
  assert note.startswith("error: ") and said in note


def test_other_texts_are_said_to_be_others(play, sets):
  """The set of the bundle by its name, with other texts in it."""
  path = sets[0] / "texts.npz"
  with taken_away(path):
    np.savez(path, x=["fine", "dull"] * 9, y=[0, 1] * 9)
    _, found, _, errors = play()
  note = "these are not the texts that the bundle was tested on"
  assert notes_of(errors) == [note]
  assert found["data"] != "noise"


@pytest.mark.parametrize("kind", ["texts", "sounds"])
def test_the_teacher_alone_answers_other_kinds(bundles, tmp_path, kind):
  options = dict(bandwidth=None, batch=2, cache=str(tmp_path))
  assert alone.first_answer(str(bundles[kind]), **options) > 0


@pytest.mark.parametrize("kind", ["texts", "sounds", None])
def test_the_report_speaks_of_what_was_asked(kind):
  """Older files do not say it."""
  found = play_json(batch=1) | {"kind": kind}
  if kind is None:
    del found["kind"]
  noun = kind or "examples"
  caption = serving.picture(found).caption
  assert f"measured on test {noun}," in caption
  assert f"share of digits {noun} that" in caption
  assert f"from 50 {noun} on" in caption
  assert f"1 {noun[:-1]} each" in caption and "image" not in caption
