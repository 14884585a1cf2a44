"""TFDS sets in ArrayRecord form, read without TensorFlow, kept in memory."""

import os
import stat
import sys

import numpy as np
import PIL.Image
import pytest

from pwl_jax.data import cache, prepare, tfds
from pwl_jax.data.prepared import open_builder, open_records
from pwl_jax.data.sources import load_dataset
from pwl_jax.data.stream import Stream
from tests import real_sets
from tests.toy_sets import drawn, encoded, load, write_set


def toy():
  return {"train": drawn(30, 0), "test": drawn(12, 1)}


@pytest.mark.parametrize("shards", [1, 3])
def test_a_set_is_decoded_exactly_and_only_once(tmp_path, shards):
  splits = toy()
  folder = write_set(tmp_path, splits, shards=shards)
  first = load(tmp_path)
  assert (first.test.inputs == splits["test"][0]).all()
  assert first.test.labels.tolist() == splits["test"][1]
  assert first.class_names == ("class 0", "class 1", "class 2")
  assert len(first.train) + len(first.valid) == 30
  cached = sorted((folder / "pwl_jax").iterdir())
  assert len(cached) == 4
  stamps = [path.stat().st_mtime_ns for path in cached]
  second = load(tmp_path)
  assert (second.train.inputs == first.train.inputs).all()
  assert [path.stat().st_mtime_ns for path in cached] == stamps


def test_grey_sets_and_grey_images_in_sets_of_colour(tmp_path):
  grey, labels = drawn(20, 0, shape=(6, 5, 1))
  write_set(tmp_path / "grey", {"train": (grey, labels)}, shape=(6, 5, 1))
  assert load(tmp_path / "grey").input_shape == (6, 5, 1)
  splits = {"train": drawn(20, 0), "test": (grey, labels)}
  write_set(tmp_path / "colour", splits)
  assert (load(tmp_path / "colour").test.inputs == grey).all()


def test_records_that_changed_are_decoded_anew(tmp_path):
  splits = toy()
  folder = write_set(tmp_path / "a", splits)
  load(tmp_path / "a")
  splits["test"] = drawn(12, 2)
  other = write_set(tmp_path / "b", splits)
  name = "toy-test.array_record-00000-of-00001"
  (folder / name).write_bytes((other / name).read_bytes())
  assert (load(tmp_path / "a").test.inputs == splits["test"][0]).all()


def test_the_cache_may_lie_elsewhere(tmp_path):
  folder = write_set(tmp_path / "data", toy())
  load(tmp_path / "data", cache_dir=str(tmp_path / "cache"))
  assert not (folder / "pwl_jax").exists()
  assert len(list((tmp_path / "cache").rglob("*.npy"))) == 4


def test_a_damaged_cache_is_made_anew(tmp_path):
  folder = write_set(tmp_path, toy())
  first = load(tmp_path)
  expected = np.array(first.test.inputs)
  for path in (folder / "pwl_jax").glob("test-images*"):
    for content in (b"", b"x" * 200, path.read_bytes()[:-7]):
      # A new file: what is mapped may not shrink.
      path.unlink()
      path.write_bytes(content)
      assert (load(tmp_path).test.inputs == expected).all()
      assert (np.load(path) == expected).all()


def test_what_cannot_be_kept_is_used_and_told(tmp_path, monkeypatch):
  splits = toy()
  folder = write_set(tmp_path, splits)

  def full(file, array, **options):
    file.write(b"half of it")
    raise OSError("no space left")

  monkeypatch.setattr(cache.np, "save", full)
  with pytest.warns(UserWarning, match="no space left.*cache_dir"):
    dataset = load(tmp_path)
  assert (dataset.test.inputs == splits["test"][0]).all()
  assert list((folder / "pwl_jax").iterdir()) == []


def test_a_cache_that_may_not_be_read_is_no_obstacle(tmp_path, monkeypatch):
  splits = toy()
  write_set(tmp_path, splits)
  load(tmp_path)

  def refuse(*args, **options):
    raise PermissionError("not yours")

  monkeypatch.setattr(cache.np, "load", refuse)
  assert (load(tmp_path).test.inputs == splits["test"][0]).all()


def test_the_cache_is_as_readable_as_other_files(tmp_path):
  folder = write_set(tmp_path, toy())
  before = os.umask(0o022)
  try:
    load(tmp_path)
  finally:
    os.umask(before)
  modes = {
    stat.S_IMODE(path.stat().st_mode) for path in (folder / "pwl_jax").iterdir()
  }
  assert modes == {0o644}


@pytest.mark.parametrize("other", ["validation", None])
def test_what_is_reported_on_where_there_is_no_test_split(tmp_path, other):
  splits = {"train": drawn(30, 0)}
  if other:
    splits[other] = drawn(12, 1)
  write_set(tmp_path, splits)
  assert len(load(tmp_path).test) == (12 if other else 6)


def test_a_test_split_without_labels_does_not_count(tmp_path):
  hidden = drawn(9, 2)[0], [-1] * 9
  splits = {
    "train": drawn(30, 0),
    "validation": drawn(12, 1),
    "test": hidden,
  }
  write_set(tmp_path, splits)
  assert load(tmp_path).test.labels.tolist() == splits["validation"][1]


def test_memory_or_stream_as_the_set_and_the_caller_say(tmp_path, monkeypatch):
  write_set(tmp_path / "same", toy())
  write_set(tmp_path / "sizes", toy(), shape=(None, None, 3))
  streamed = {
    ("same", "auto", 0): False,
    ("same", "no", 0): False,
    ("same", "yes", 4): True,
    ("sizes", "auto", 4): True,
    ("sizes", "yes", 4): True,
  }
  for (name, stream, size), expected in streamed.items():
    dataset = load(tmp_path / name, stream=stream, image_size=size)
    assert isinstance(dataset.train, Stream) == expected
    assert dataset.input_shape == ((4, 4, 3) if expected else (6, 5, 3))
  monkeypatch.setattr(tfds, "MEMORY_LIMIT", 42 * 6 * 5 * 3)
  assert isinstance(load(tmp_path / "same", image_size=4).train, Stream)
  for name, options, message in (
    ("same", {}, "streamed, being large.*image_size"),
    ("same", {"stream": "yes"}, "streamed, as asked.*image_size"),
    ("sizes", {}, "as its images differ in size.*image_size"),
    ("sizes", {"stream": "no"}, "differ in size.*stream to auto"),
    ("same", {"stream": "no", "image_size": 4}, "6x5.*image_size is 4"),
    ("same", {"stream": "maybe"}, "unknown stream 'maybe'"),
  ):
    with pytest.raises(ValueError, match=message):
      load(tmp_path / name, **options)


def test_sets_that_will_not_do_say_what_to_do(tmp_path):
  where = str(tmp_path)
  command = "python -m pwl_jax.data.prepare mnist --data_dir="
  cases = [
    ("tfds:mnist", f"mnist is not in {where}.*{command}{where}"),
    ("tfds:cifar11", "no TFDS set 'cifar11'"),
  ]
  for name, message in cases:
    with pytest.raises(ValueError, match=f"(?s){message}"):
      load_dataset(name, data_dir=where)
  write_set(tmp_path, {"test": drawn(5, 0)})
  with pytest.raises(ValueError, match="no train split"):
    load(tmp_path)
  write_set(tmp_path / "b", toy(), form="tfrecord")
  with pytest.raises(ValueError, match=r"(?s)as tfrecord.*data\.prepare"):
    load(tmp_path / "b")
  folder = write_set(tmp_path / "c", toy())
  next(folder.glob("toy-test*")).unlink()
  with pytest.raises(FileNotFoundError, match=r"toy-test.*is missing"):
    load(tmp_path / "c")


@pytest.mark.parametrize(
  "image,label,message",
  [
    (b"no image", 0, "cannot identify"),
    (encoded(drawn(1, 0)[0][0])[:90], 0, "truncated"),
    (drawn(1, 0, shape=(4, 4, 3))[0][0], 0, "4x4.*promises 6x5"),
    (drawn(1, 0)[0][0], 3, "from 3 to 3.*0 to 2"),
  ],
  ids=["no image", "half an image", "another size", "another class"],
)
def test_a_record_that_will_not_do_is_named(tmp_path, image, label, message):
  images, labels = drawn(12, 1)
  images, labels[7] = [*images[:7], image, *images[8:]], label
  write_set(tmp_path, {"train": drawn(30, 0), "test": (images, labels)})
  with pytest.raises(ValueError, match=f"toy, test split: record 7.*{message}"):
    load(tmp_path)


def test_damaged_files_name_the_record(tmp_path):
  splits = {"train": drawn(30, 0), "test": drawn(300, 1)}
  folder = write_set(tmp_path, splits)
  path = next(folder.glob("toy-test*"))
  whole = bytearray(path.read_bytes())
  whole[len(whole) // 4 : len(whole) // 4 + 200] = bytes(200)
  path.write_bytes(whole)
  with pytest.raises(ValueError, match=r"toy, test split: record \d+"):
    load(tmp_path)


def test_missing_packages_are_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
  with pytest.raises(ValueError, match="pip install tensorflow-datasets"):
    load(tmp_path)


def test_no_tensorflow_is_imported(tmp_path):
  write_set(tmp_path, toy())
  load(tmp_path)
  assert "tensorflow" not in sys.modules


@real_sets.needs("cifar10")
def test_the_real_cifar10():
  records = open_records(open_builder("cifar10", str(real_sets.WHERE)), "test")
  images = np.empty((100, 32, 32, 3), np.uint8)
  labels = records.decode(range(100), lambda image, i: image, images)
  assert len(records) == 10000 and records.num_classes == 10
  assert labels.min() == 0 and labels.max() == 9
  assert 100 < images.mean() < 140


def test_preparing_looks_for_its_packages_before_any_work(monkeypatch):
  monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
  message = "(?s)needs tensorflow and importlib_resources.*pip install tensor"
  with pytest.raises(SystemExit, match=message):
    prepare.main(["mnist", "--data_dir=/nowhere"])


def test_preparing_leaves_what_is_there(tmp_path, capsys):
  for form in ("tfrecord", "array_record"):
    folder = write_set(tmp_path / form, toy(), form=form)
    arguments = ["toy:1.0.0", f"--data_dir={tmp_path / form}"]
    if form == "tfrecord":
      with pytest.raises(SystemExit, match=r"as tfrecord.*another --data"):
        prepare.main(arguments)
    else:
      prepare.main(arguments)
      assert f"toy:1.0.0 is in {folder}" in capsys.readouterr().out


def test_preparing_says_why_it_failed(monkeypatch):
  with pytest.raises(SystemExit) as caught:
    prepare.main(["cifar11", "--data_dir=/nowhere"])
  assert "cifar11 not found. Did you mean" in str(caught.value)
  assert len(str(caught.value)) < 200

  def fail(name, data_dir):
    raise ConnectionError("no route")

  monkeypatch.setattr(prepare, "prepare", fail)
  with pytest.raises(SystemExit, match="toy was not prepared: no route"):
    prepare.main(["toy"])


def test_images_of_other_modes_become_colour():
  colour = PIL.Image.fromarray(drawn(1, 0)[0][0])
  for mode in ("L", "P", "RGBA", "CMYK"):
    other = colour.convert(mode)
    pixels = tfds.views.whole(other, (6, 5, 3))
    assert (pixels == np.asarray(other.convert("RGB"))).all()
