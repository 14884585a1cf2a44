"""Data sets: honest splits, known sizes, and clear errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pwl_jax.data.batches import MemoryFeed, epoch_order
from pwl_jax.data.dataset import Split, channel_statistics, make_dataset
from pwl_jax.data.sources import load_dataset


def split(n=20, classes=4, shape=(6, 5, 3), seed=0):
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (n, *shape), np.uint8)
  return Split(images, np.arange(n, dtype=np.int32) % classes)


def test_the_embedded_digits():
  digits = load_dataset("digits", valid_share=0.1)
  sizes = [len(s) for s in (digits.train, digits.valid, digits.test)]
  assert sizes == [1294, 144, 359] and sum(sizes) == 1797
  assert digits.input_shape == (8, 8, 1) and digits.num_classes == 10
  for part in (digits.train, digits.valid, digits.test):
    assert part.inputs.dtype == np.uint8 and part.inputs.max() == 255
    assert np.bincount(part.labels, minlength=10).min() >= 8


def test_splits_share_no_example_and_are_the_same_every_time():
  whole, test = split(50), split(10, seed=1)
  first, second = (make_dataset("x", whole, test) for _ in range(2))
  rows = [
    {image.tobytes() for image in part.inputs}
    for part in (first.train, first.valid)
  ]
  assert not rows[0] & rows[1]
  assert rows[0] | rows[1] == {image.tobytes() for image in whole.inputs}
  assert (first.valid.inputs == second.valid.inputs).all()
  assert first.test is test


def test_statistics_are_those_of_the_pixels():
  whole = split(30, shape=(300, 500, 2))  # More than is counted at once.
  mean, deviation = channel_statistics(whole)
  values = whole.inputs / 255
  np.testing.assert_allclose(mean, values.mean((0, 1, 2)), rtol=1e-9)
  np.testing.assert_allclose(deviation, values.std((0, 1, 2)), rtol=1e-9)


def test_a_file_of_arrays(tmp_path):
  whole, test = split(40), split(12, seed=1)
  path = tmp_path / "mine.npz"
  np.savez(path, x=whole.inputs, y=whole.labels.astype(np.int64))
  dataset = load_dataset(f"arrays:{path}", valid_share=0.25)
  sizes = [len(s) for s in (dataset.train, dataset.valid, dataset.test)]
  assert sizes == [24, 8, 8] and dataset.class_names == ("0", "1", "2", "3")
  np.savez(
    path,
    x=whole.inputs[..., 0],
    y=whole.labels,
    x_test=test.inputs[..., 0],
    y_test=test.labels,
  )
  dataset = load_dataset(f"arrays:{path}")
  assert dataset.input_shape == (6, 5, 1) and len(dataset.test) == 12


def test_synthetic_sizes():
  dataset = load_dataset("synthetic:40x4x6x2/3")
  assert dataset.input_shape == (4, 6, 2) and dataset.num_classes == 3
  assert len(dataset.train) + len(dataset.valid) == 40


def broken(**changes):
  """A training split with other images or labels."""
  whole = split()
  fields = {"inputs": whole.inputs, "labels": whole.labels} | changes
  return Split(**fields)


@pytest.mark.parametrize(
  "train,message",
  [
    (broken(inputs=np.zeros((20, 4, 4, 3))), "must be uint8.*float64"),
    (broken(inputs=np.zeros((20, 4, 4), np.uint8)), "must be uint8"),
    (broken(labels=np.zeros(19, np.int32)), "20 images need as many labels"),
    (broken(labels=np.full(20, 9, np.int32)), "from 9 to 9.*0 to 3"),
    (broken(labels=np.full(20, -1, np.int32)), "hides its labels"),
    (broken(labels=np.zeros(20)), "whole numbers, got float64"),
    (split(0), "train split is empty"),
    (split(shape=(4, 4, 3)), r"\(4, 4, 3\).*\(6, 5, 3\)"),
  ],
)
def test_data_that_will_not_do_is_refused(train, message):
  with pytest.raises(ValueError, match=message):
    make_dataset("mine", train, split(), class_names="abcd")


def test_names_and_shares_that_will_not_do(tmp_path):
  path = tmp_path / "mine.npz"
  np.savez(path, images=np.zeros(3))
  for name, error, message in (
    ("digit", ValueError, "did you mean 'digits'"),
    (f"arrays:{path}", ValueError, r"lacks \['x', 'y'\].*numpy.savez"),
    ("arrays:/nowhere.npz", FileNotFoundError, "/nowhere.npz is no file"),
    ("synthetic:4x4", ValueError, "NxHxWxC/K"),
    ("synthetic:0x4x4x3/2", ValueError, "each at least 1"),
    ("synthetic:8x4x4x3/0", ValueError, "each at least 1"),
  ):
    with pytest.raises(error, match=message):
      load_dataset(name)
  for share in (0.0, 1.0, -0.5, 1.5, float("nan"), 0.0001):
    with pytest.raises(ValueError, match="valid_share"):
      load_dataset("digits", valid_share=share)


def test_files_that_hold_no_set_are_refused(tmp_path):
  whole = split(30)
  path = tmp_path / "mine.npz"
  np.savez(path, x=whole.inputs, y=whole.labels)
  content = path.read_bytes()
  torn = bytearray(content)
  torn[400:500] = bytes(100)
  for spoiled in (b"", b"no arrays", content[:400], bytes(torn)):
    path.write_bytes(spoiled)
    with pytest.raises(ValueError, match=r"mine.npz cannot be read as an .npz"):
      load_dataset(f"arrays:{path}")
  np.save(tmp_path / "one.npy", whole.inputs)
  with pytest.raises(ValueError, match=r"single array of shape.*numpy\.savez"):
    load_dataset(f"arrays:{tmp_path / 'one.npy'}")


@pytest.mark.parametrize(
  "changes,message",
  [
    ({"x_test": split().inputs}, r"lacks \['y_test'\]"),
    ({"y_test": split().labels}, r"lacks \['x_test'\]"),
    ({"y": np.full(20, 2**33)}, "more than 32 bits"),
    ({"y": np.full(20, 2**63, np.uint64)}, "more than 32 bits"),
    ({"y": np.full(20, 2**30)}, "numbered from 0"),
    ({"x": split().inputs / 255}, r"astype\(numpy.uint8\)"),
    ({"x": np.uint8(3), "y": np.int32(3)}, r"must be uint8 \[n, height"),
    ({"x": np.zeros((20, 0, 5, 3), np.uint8)}, "have no pixels"),
  ],
)
def test_arrays_that_will_not_do_are_refused(tmp_path, changes, message):
  arrays = {"x": split().inputs, "y": split().labels} | changes
  np.savez(tmp_path / "mine.npz", **arrays)
  with pytest.raises(ValueError, match=message):
    load_dataset(f"arrays:{tmp_path / 'mine.npz'}")


def test_sets_in_memory_have_the_size_they_have():
  assert load_dataset("digits", image_size=8).input_shape == (8, 8, 1)
  for options, message in (
    ({"image_size": 16}, "8x8.*image_size is 16.*to 0"),
    ({"stream": "yes"}, "always in memory"),
    ({"stream": "on"}, "unknown stream"),
    ({"image_size": -1}, "image_size is -1"),
    ({"workers": -2}, "workers is -2"),
  ):
    with pytest.raises(ValueError, match=message):
      load_dataset("digits", **options)


def test_a_split_in_batches_and_samples():
  whole = split(23)
  batches = list(whole.batches(5))
  assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 3]
  for i, part in enumerate((whole.inputs, whole.labels)):
    assert (np.concatenate([batch[i] for batch in batches]) == part).all()
  assert (whole.sample(4).inputs == whole.inputs[:4]).all()
  assert len(whole.sample(40)) == 23


def test_the_fingerprint_is_that_of_the_examples():
  def of(whole, **options):
    return make_dataset("x", whole, split(10, seed=1), **options).fingerprint

  expected = of(split(50))
  assert of(split(50)) == expected
  other = split(50).labels.copy()
  other[3] = (other[3] + 1) % 4
  for changed in (
    of(split(50, seed=2)),
    of(split(49)),
    of(Split(split(50).inputs, other)),
    of(split(50), valid_share=0.2),
    of(split(50), class_names="abcd"),
  ):
    assert changed != expected


def test_an_epoch_shows_every_example_once_in_an_order_of_its_own():
  first, second = (epoch_order(50, seed=3, epoch=e) for e in (0, 1))
  assert sorted(first) == sorted(second) == list(range(50))
  assert (first != second).any()
  assert (first == epoch_order(50, seed=3, epoch=0)).all()
  assert (first != epoch_order(50, seed=4, epoch=0)).any()


def feed_of(data, batch_size, replicate=None):
  return MemoryFeed(
    data,
    batch_size,
    seed=1,
    replicate=replicate or (lambda arrays: jax.tree.map(jnp.asarray, arrays)),
  )


def test_batches_are_cut_from_the_order_by_step_and_row():
  data = split(23)
  feed = feed_of(data, 5)
  assert feed.steps_per_epoch == 4
  for step in (0, 3, 4, 9):
    epoch, place = divmod(step, 4)
    chosen = epoch_order(23, seed=1, epoch=epoch)[5 * place :][:5]
    rows = jnp.array([3, 1])
    images, labels = feed.take(feed.arrays(step), jnp.array(step), rows)
    assert (images == data.inputs[chosen[[3, 1]]]).all()
    assert (labels == data.labels[chosen[[3, 1]]]).all()


def test_a_feed_moves_the_images_once_and_the_order_once_an_epoch():
  moved = []

  def replicate(arrays):
    moved.extend(leaf.shape for leaf in jax.tree.leaves(arrays))
    return arrays

  feed = feed_of(split(20), 5, replicate)
  for step in range(12):
    feed.arrays(step)
  assert len(moved) == 2 + 3


@pytest.mark.parametrize("batch_size", [0, 30])
def test_a_batch_that_the_split_cannot_fill_is_refused(batch_size):
  with pytest.raises(ValueError, match=rf"batch of {batch_size}.*20 training"):
    feed_of(split(20), batch_size)
