"""Streams: the same examples for any number of processes and workers."""

import dataclasses
import io
import itertools
import sys

import numpy as np
import PIL.Image
import pytest

from pwl_jax.data import stream as streams
from pwl_jax.data import views
from pwl_jax.data.ahead import read_ahead
from pwl_jax.data.batches import epoch_order
from pwl_jax.data.dataset import channel_statistics
from tests.toy_sets import drawn, encoded, load, write_set

SIZE = 4
TRAIN = 40


def number_of(image):
  """Images of one colour say which example they are of, flipped or not."""
  return image[0, 0].astype(int) @ (1, 256, 0) // 16


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
  """So that a few examples already make several."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(streams, "PIECE", 3)
    yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Images of several sizes, each of one colour, label and number."""
  path = tmp_path_factory.mktemp("toy")
  rng = np.random.default_rng(0)
  splits = {}
  for split, n in (("train", TRAIN), ("validation", 11)):
    images = []
    for i in range(n):
      height, width = rng.integers(3, 9, 2)
      images.append(np.full((height, width, 3), (16 * (i % 16), i // 16, 0)))
    images = [encoded(image.astype(np.uint8)) for image in images]
    splits[split] = images, [i % 3 for i in range(n)]
  write_set(path, splits, shape=(None, None, 3), shards=2)
  return path


@pytest.fixture(scope="module")
def dataset(folder):
  return load(folder, image_size=SIZE, workers=0)


def take(stream, count, **options):
  batches = stream.training_batches(seed=5, **options)
  try:
    return list(itertools.islice(batches, count))
  finally:
    batches.close()


def equal(ours, theirs):
  return all(
    (a == b).all()
    for one, other in zip(ours, theirs, strict=True)
    for a, b in zip(one, other, strict=True)
  )


def test_the_order_is_that_of_every_epoch(dataset):
  train, batch_size = dataset.train, 8
  assert len(train) == 36  # Four steps and a rest of four.
  batches = take(train, 9, batch_size=batch_size)
  for step, (images, labels) in enumerate(batches):
    assert images.shape == (8, SIZE, SIZE, 3) and images.dtype == np.uint8
    assert labels.dtype == np.int32
    epoch, place = divmod(step, 4)
    order = epoch_order(36, seed=5, epoch=epoch)[8 * place :][:8]
    expected = train.rows[order]
    assert [number_of(image) for image in images] == expected.tolist()
    assert labels.tolist() == (expected % 3).tolist()


def test_a_resumed_run_sees_what_an_unbroken_one_sees(folder):
  train = load_noise(folder)
  unbroken = take(train, 9, batch_size=8)
  for step in (1, 4, 7):
    resumed = take(train, 9 - step, batch_size=8, first_step=step)
    assert equal(resumed, unbroken[step:])
  assert not equal(unbroken[:4], unbroken[4:8])


@pytest.mark.parametrize("count", [2, 4])
def test_the_shares_of_processes_make_up_the_whole(folder, count):
  train = load_noise(folder)
  whole = take(train, 5, batch_size=8)
  shares = [
    take(train, 5, batch_size=8, share=(i, count)) for i in range(count)
  ]
  joined = [
    tuple(map(np.concatenate, zip(*parts, strict=True)))
    for parts in zip(*shares, strict=True)
  ]
  assert equal(joined, whole)


def load_noise(folder, **options):
  """The same set as noise, where every crop and flip shows."""
  path = folder / "noise"
  if not path.exists():
    rng = np.random.default_rng(1)
    images = [
      encoded(rng.integers(0, 256, (9, n, 3), np.uint8))
      for n in rng.integers(7, 20, TRAIN)
    ]
    splits = {"train": (images, [i % 3 for i in range(TRAIN)])}
    write_set(path, splits, shape=(None, None, 3))
  options = {"workers": 0} | options
  return load(path, image_size=SIZE, **options).train


def test_worker_processes_make_the_same_batches_without_a_backend(folder):
  ours = take(load_noise(folder), 3, batch_size=8)
  theirs = take(load_noise(folder, workers=2), 3, batch_size=8)
  assert equal(ours, theirs)
  pieces = read_ahead(backends, range(2), workers=1, ahead=1)
  assert [next(pieces), next(pieces)] == [(0, []), (1, [])]
  pieces.close()


def backends(number):
  """What of jax and TensorFlow a worker has started or imported."""
  jax = sys.modules.get("jax")
  started = list(jax._src.xla_bridge._backends) if jax else []
  return number, started + [m for m in sys.modules if m == "tensorflow"]


def test_no_two_visits_of_an_example_are_seen_alike(folder):
  train = load_noise(folder).take(slice(8))
  batches = take(train, 12, batch_size=8)
  seen = {image.tobytes() for images, _ in batches for image in images}
  assert len(seen) > 90  # Of 96; a part may be drawn twice.


def test_every_example_is_evaluated_once_and_in_order(dataset):
  valid = dataset.valid
  assert set(valid.rows) | set(dataset.train.rows) == set(range(TRAIN))
  assert len(valid) == 4 and len(dataset.test) == 11
  for batch_size in (4, 5, 30):
    batches = list(dataset.test.batches(batch_size))
    sizes = [len(labels) for _, labels in batches]
    assert sum(sizes) == 11 and set(sizes[:-1]) <= {batch_size}
    images, labels = map(np.concatenate, zip(*batches, strict=True))
    assert [number_of(image) for image in images] == list(range(11))
    assert labels.tolist() == [i % 3 for i in range(11)]


def test_a_sample_is_what_evaluation_sees_first(dataset):
  sample = dataset.train.sample(7)
  images, labels = next(iter(dataset.train.batches(7)))
  assert (sample.inputs == images).all() and (sample.labels == labels).all()
  assert len(dataset.train.sample(100)) == 36
  whole = channel_statistics(dataset.train)
  assert whole == channel_statistics(dataset.train.sample(100))


def test_grey_images_fill_sets_of_colour_and_grey_sets_stay(tmp_path):
  images = [encoded(np.full((5, 6), 10 * i, np.uint8)) for i in range(20)]
  splits = {"train": (images, [0, 1, 2, 1] * 5)}
  for channels in (1, 3):
    path = tmp_path / str(channels)
    write_set(path, splits, shape=(None, None, channels))
    train = load(path, image_size=SIZE, workers=0).train
    images_seen, _ = take(train, 1, batch_size=4)[0]
    assert images_seen.shape == (4, SIZE, SIZE, channels)
    assert len(np.unique(images_seen)) == 4


def test_a_record_that_will_not_do_is_named(tmp_path):
  images, labels = drawn(20, 0)
  images = [encoded(image) for image in images]
  images[13] = images[13][:90]
  write_set(tmp_path, {"train": (images, labels)}, shape=(None, None, 3))
  train = load(tmp_path, image_size=SIZE, workers=0).train
  everything = dataclasses.replace(train, rows=np.arange(20))
  with pytest.raises(ValueError, match="toy, train split: record 13 cannot"):
    take(everything, 5, batch_size=4)
  with pytest.raises(ValueError, match="toy, train split: record 13 cannot"):
    list(everything.batches(4))


@pytest.mark.parametrize(
  "options,message",
  [
    ({"batch_size": 37}, "batch of 37"),
    ({"batch_size": 0}, "batch of 0"),
    ({"batch_size": 8, "share": (0, 3)}, "8 cannot be shared among 3"),
    ({"batch_size": 8, "share": (2, 2)}, "this one being number 2"),
  ],
)
def test_batches_that_cannot_be_made_are_refused(dataset, options, message):
  with pytest.raises(ValueError, match=message):
    dataset.train.training_batches(seed=0, **options)


def test_the_fingerprint_knows_files_rows_and_size(folder, dataset):
  expected = dataset.fingerprint
  assert load(folder, image_size=SIZE, workers=3).fingerprint == expected
  for options in (
    {"image_size": 5},
    {"image_size": SIZE, "valid_share": 0.3},
  ):
    assert load(folder, **options).fingerprint != expected
  others = load_noise(folder).records.fingerprint()
  assert others != dataset.train.records.fingerprint()


def test_random_boxes_have_the_area_and_aspect_they_should():
  rng = np.random.default_rng(0)
  areas = []
  for _ in range(300):
    left, top, right, bottom = views.random_box(500, 400, rng)
    assert 0 <= left < right <= 500 and 0 <= top < bottom <= 400
    assert 0.74 < (right - left) / (bottom - top) < 1.35
    areas.append((right - left) * (bottom - top) / 200_000)
  assert 0.079 < min(areas) < 0.12 and 0.85 < max(areas) <= 1


@pytest.mark.parametrize("width,height", [(300, 10), (10, 300), (1, 1)])
def test_images_too_long_for_a_random_box_show_their_middle(width, height):
  rng = np.random.default_rng(1)
  long = np.zeros((height, width, 3), np.uint8)
  long[:, width // 2] = long[height // 2] = 255
  for _ in range(20):
    box = views.random_box(width, height, rng)
    across, down = box[2] - box[0], box[3] - box[1]
    assert min(across, down) >= 1
    assert views.random_view(PIL.Image.fromarray(long), SIZE, rng).shape == (
      SIZE,
      SIZE,
      3,
    )


def test_the_centre_view_is_resized_and_cropped_in_the_middle():
  rows, columns = np.mgrid[:32, :48]
  image = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
  seen = views.centre_view(PIL.Image.fromarray(image), 14)
  # 28 of 32 rows; each pixel is the mean of four.
  middles = np.arange(14) * 2 + 2.5
  np.testing.assert_allclose(seen[:, 0, 0], middles, atol=1)
  np.testing.assert_allclose(seen[0, :, 1], middles + 8, atol=1)


def test_large_jpegs_are_decoded_small_and_look_the_same():
  rows, columns = np.mgrid[:600, :800] / 800
  wave = np.sin(6 * rows) * np.cos(5 * columns)
  image = (127 + 120 * np.stack([wave, rows, columns], -1)).astype(np.uint8)
  jpeg = PIL.Image.open(io.BytesIO(encoded(image, "JPEG", quality=95)))
  seen = views.centre_view(jpeg, 32).astype(float)
  assert jpeg.size == (100, 75)  # What was decoded, an eighth.
  plain = views.centre_view(PIL.Image.fromarray(image), 32)
  assert np.abs(seen - plain).max() < 6
