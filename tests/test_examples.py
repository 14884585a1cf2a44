"""The examples: that they run, and that the server takes what may come."""

import contextlib
import dataclasses
import http.client
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import PIL.Image
import pytest

from examples import http_server, own_loop, own_networks
from examples.http_bodies import MOST_PIXELS, Refused, read_examples
from pwl_jax import models
from pwl_jax.bundle.inputs import ImageInput, SoundInput, TextInput
from pwl_jax.bundle.verify import verify
from pwl_jax.data.digits import load_digits
from pwl_jax.method.variables import count_parameters
from pwl_jax.runtime.holdings import Holdings
from tests.bundle_cases import trained, written
from tests.cases import assert_close
from tests.runtime_cases import images_of

ROOT = pathlib.Path(__file__).parents[1]
NAME = "tiny_resnet"  # Images of 16x16x3.
PIXELS = "application/octet-stream"
INPUT = ImageInput((4, 5, 3), (0.5,) * 3, (0.5,) * 3, "exact")


def few_digits():
  whole = load_digits()
  few = {
    name: getattr(whole, name).take(slice(128))
    for name in ("train", "valid", "test")
  }
  return dataclasses.replace(whole, **few)


def test_networks_of_ones_own_are_trained_and_served(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setitem(models.PRESETS, "own", None)  # Gone in the end.
  own_networks.main(tmp_path, epochs=1)
  networks = models.create_pair("own")
  preset = models.PRESETS["own"]
  assert [
    count_parameters(network.abstract_variables()) for network in networks
  ] == [preset.teacher.parameters, preset.student.parameters]
  assert re.search(r" s  TTT\b", capsys.readouterr().out)
  assert verify(tmp_path / "bundle") == []


def test_a_loop_of_ones_own_trains_and_serves(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(own_loop, "load_digits", few_digits)
  own_loop.main([f"--out={tmp_path}", "--epochs=1"])
  printed = capsys.readouterr().out
  assert re.search(r"^teacher: [\d,]+ parameters$", printed, re.MULTILINE)
  assert len(re.findall(r"^  [ST]{3} +[\d.]+%", printed, re.MULTILINE)) == 8
  said = [line for line in printed.splitlines() if " says " in line]
  assert [line[:3] for line in said] == ["SSS", "TTT"]
  assert verify(tmp_path / "bundle") == []


@contextlib.contextmanager
def serving(tmp_path_factory):
  bundle = written(tmp_path_factory, NAME, "safetensors")
  folder = tmp_path_factory.getbasetemp() / "programs"
  with http_server.serving(bundle, port=0, cache_dir=folder) as server:
    yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  with serving(tmp_path_factory) as server:
    yield server


def ask(server, method, path, body=None, **headers):
  """Status and what the answer says."""
  connection = http.client.HTTPConnection(*server.server_address, timeout=60)
  with contextlib.closing(connection):
    headers = {name.replace("_", "-"): v for name, v in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status, json.loads(answer.read())


def predict(server, body, kind=PIXELS):
  return ask(server, "POST", "/predict", body, Content_Type=kind)


def test_it_answers_by_the_student_while_the_teacher_is_held_up(
  tmp_path_factory, monkeypatch
):
  opened, read = threading.Event(), Holdings.read

  def gated(holdings, piece, pace):
    assert not piece.startswith("teacher/") or opened.wait(60)
    return read(holdings, piece, pace)

  monkeypatch.setattr(Holdings, "read", gated)
  images = images_of(3)
  with serving(tmp_path_factory) as server:
    try:
      status, found = ask(server, "GET", "/status")
      assert (status, found["composition"]) == (200, "SSS")
      assert found["upgrade"] in ("waiting", "running")
      status, found = predict(server, images.tobytes())
      assert (status, found["composition"]) == (200, "SSS")
      assert_close(found["logits"], trained(NAME).golden(images, "SSS"))
    finally:
      opened.set()
    server.upgrade.wait(60)
    _, found = ask(server, "GET", "/status")
    assert (found["composition"], found["upgrade"]) == ("TTT", "done")
    assert found["loaded_bytes"] == found["total_bytes"] > 0
    assert [rung["composition"] for rung in found["ladder"]] == [
      *("SSS", "TSS", "TTS", "TTT")
    ]
    _, found = predict(server, images.tobytes())
    logits = trained(NAME).golden(images, "TTT")
    assert_close(found["logits"], logits)
    best = logits.argmax(axis=-1)
    assert found["classes"] == [f"class {i}" for i in best]


def png(image, form="PNG", mode=None):
  buffer = io.BytesIO()
  picture = PIL.Image.fromarray(image)
  (picture.convert(mode) if mode else picture).save(buffer, form)
  return buffer.getvalue()


def test_all_forms_of_a_body_say_the_same(server):
  server.upgrade.wait(60)
  images = images_of(2)
  _, plain = predict(server, images.tobytes())
  listed = json.dumps({"examples": images.tolist()})
  assert predict(server, listed, "application/json; charset=utf-8")[1] == plain
  status, found = predict(server, png(images[0]), "image/png")
  assert status == 200
  assert_close(found["logits"], plain["logits"][:1])


def test_requests_come_from_many_threads(server):
  images, found = images_of(20), {}

  def one(i):
    found[i] = predict(server, images[i].tobytes())

  threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  for i, (status, answer) in found.items():
    assert status == 200
    word = answer["composition"]
    golden = trained(NAME).golden(images[i : i + 1], word)
    assert_close(answer["logits"], golden, 1e-3)


@pytest.mark.parametrize(
  "body,kind,status,words",
  [
    (b"123", PIXELS, 400, "3 bytes are no images of 16x16x3; send 768"),
    (b"", PIXELS, 400, "0 bytes"),
    (bytes(768), "text/plain", 415, "send application/json, image/png"),
    (b"{", "application/json", 400, "no JSON"),
    (b"[" * 10**5, "application/json", 400, "no JSON"),
    (b"[1]", "application/json", 400, 'such as {"examples": [...]}'),
    (b'{"examples": []}', "application/json", 400, "send 1 to 256"),
    (b'{"examples": [1.5]}', "application/json", 400, "whole numbers"),
    (b'{"examples": [[1, [2]]]}', "application/json", 400, "no array"),
    (b'{"examples": [[300]]}', "application/json", 400, "from 0 to 255"),
    (b'{"examples": [[1, 2]]}', "application/json", 400, "uint8[1, 2]"),
    (b'{"examples": [["a"]]}', "application/json", 400, "whole numbers"),
    (b"not an image", "image/png", 400, "no whole PNG file"),
    (png(np.zeros((9, 9, 3), np.uint8)), "image/png", 400, "16, 16, 3"),
    (png(np.zeros((9, 9, 3), np.uint8)), "image/jpeg", 400, "no whole JPEG"),
    (png(np.ones((16, 16, 3), np.uint8))[:-30], "image/png", 400, "no whole"),
  ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
  server, body, kind, status, words
):
  found, answer = predict(server, body, kind)
  assert found == status and words in answer["error"]
  assert ask(server, "GET", "/status")[0] == 200


def test_too_many_examples_are_refused(server):
  status, answer = predict(server, bytes(768 * 257))
  assert status == 400 and "257 examples" in answer["error"]


@pytest.mark.parametrize(
  "method,path,headers,status,words",
  [
    ("GET", "/", {}, 404, "GET /status and POST /predict"),
    ("GET", "/predict", {}, 405, "by POST"),
    ("POST", "/status", {}, 405, "by GET"),
    ("DELETE", "/predict", {}, 501, "Unsupported method"),
    ("POST", "/predict", {"Content-Length": "10" * 30}, 413, "too many"),
    ("POST", "/predict", {"Content-Length": "9000000"}, 413, "too many"),
    ("POST", "/predict", {"Content-Length": "-1"}, 411, "Content-Length"),
    ("POST", "/predict", {"Transfer-Encoding": "chunked"}, 411, "a Content-"),
  ],
)
def test_other_requests_are_refused(
  server, method, path, headers, status, words
):
  connection = http.client.HTTPConnection(*server.server_address, timeout=60)
  with contextlib.closing(connection):
    connection.putrequest(method, path)
    for name, value in headers.items():
      connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == status
    assert words in json.loads(answer.read())["error"]


def test_a_body_that_ends_early_is_refused(server):
  connection = http.client.HTTPConnection(*server.server_address, timeout=60)
  with contextlib.closing(connection):
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", "10")
    connection.putheader("Content-Type", PIXELS)
    connection.endheaders(b"123")
    connection.sock.shutdown(1)  # Nothing more comes.
    answer = json.loads(connection.getresponse().read())
  assert answer == {"error": "3 of 10 bytes came"}


def test_what_fails_inside_is_for_the_log_alone(server, monkeypatch, capsys):
  def failing(*given):
    raise RuntimeError("a secret")

  monkeypatch.setattr(http_server, "read_examples", failing)
  status, answer = predict(server, bytes(768))
  assert status == 500 and "secret" not in answer["error"]
  assert "a secret" in capsys.readouterr().err


def test_a_file_of_many_pixels_is_refused_before_it_is_decoded():
  side = int(MOST_PIXELS**0.5) + 1
  body = png(np.zeros((side, side), np.uint8))
  with pytest.raises(Refused, match="too many") as error:
    read_examples(body, "image/png", INPUT)
  assert error.value.status == 413


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_files_get_the_channels_of_the_bundle(form):
  grey = np.full((4, 5), 200, np.uint8)
  (image,) = read_examples(png(grey, form), f"image/{form.lower()}", INPUT)
  assert image.shape == (4, 5, 3) and abs(image.astype(int) - 200).max() < 3
  if form == "PNG":
    body = png(np.full((4, 5, 3), 7, np.uint8), mode="RGBA")
    single = INPUT._replace(image=(4, 5, 1))
    assert read_examples(body, "image/png", single)[0].shape == (4, 5, 1)


def test_texts_and_sounds_come_as_json():
  texts = TextInput(8, "")
  body = b'{"examples": ["a fine film"]}'
  assert read_examples(body, "application/json", texts) == ["a fine film"]
  sounds = SoundInput(8, 8000)
  body = b'{"examples": [[1, -2], [3]]}'
  found = read_examples(body, "application/json", sounds)
  assert [sound.tolist() for sound in found] == [[1, -2], [3]]
  assert {sound.dtype for sound in found} == {np.dtype(np.int16)}
  for input in (texts, sounds):
    with pytest.raises(Refused, match="application/json"):
      read_examples(b"", "image/png", input)


def test_the_end_of_the_block_closes_everything(tmp_path_factory):
  before = threading.active_count()
  with serving(tmp_path_factory) as server:
    server.upgrade.wait(60)
  with pytest.raises(ConnectionRefusedError):
    ask(server, "GET", "/status")
  assert server.model.events[-1].kind == "closed"
  assert threading.active_count() <= before + 1  # The worker, at its end.


def test_the_command_serves_and_ends_when_it_is_told(tmp_path_factory):
  bundle = written(tmp_path_factory, NAME, "safetensors")
  command = [sys.executable, "-m", "examples.http_server", "--port=0"]
  with subprocess.Popen(
    [*command, f"--bundle={bundle}"],
    cwd=ROOT,
    env=os.environ | {"JAX_PLATFORMS": "cpu"},
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    line = process.stdout.readline()
    assert re.fullmatch(r"serving http://127\.0\.0\.1:\d+\n", line)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_bundle_that_is_not_there_is_one_line(tmp_path):
  with pytest.raises(SystemExit, match=r"error: .*no-bundle"):
    http_server.main([f"--bundle={tmp_path / 'no-bundle'}", "--port=0"])
