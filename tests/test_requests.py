"""What a request may bring: pixels of the size, or of any that is cut to it."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from PIL import Image

from pwl_jax.bundle.inputs import ImageInput, SoundInput
from pwl_jax.data import views
from pwl_jax.runtime import open_model
from pwl_jax.runtime.requests import of_images, of_sounds, reader
from tests.bundle_cases import DEVIATION, MEAN, trained
from tests.cases import assert_close


def taken(*, channels=3, resize="centre"):
  return ImageInput(
    (16, 16, channels), (0.5,) * channels, (0.2,) * channels, resize
  )


def drawn(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_other_sizes_are_cut_as_the_evaluation_does(channels):
  images = [drawn(24, 17, channels), drawn(16, 16, channels), drawn(9, 40, 1)]
  images = images[: 2 + (channels == 1)]
  batch = of_images(images, taken(channels=channels))
  assert batch.dtype == np.uint8
  assert batch.shape == (len(images), 16, 16, channels)
  for row, image in zip(batch, images, strict=True):
    pixels = Image.fromarray(image.squeeze())
    view = views.centre_view(pixels, 16, channels=channels)
    np.testing.assert_array_equal(row, view)


def test_a_batch_of_one_other_size_and_images_of_pillow():
  images = drawn(3, 24, 20, 3)
  batch = of_images(images, taken())
  opened = [Image.fromarray(image) for image in images]
  np.testing.assert_array_equal(batch, of_images(opened, taken()))
  assert batch.shape == (3, 16, 16, 3)


@pytest.mark.parametrize("resize", ["exact", "centre"])
def test_a_batch_of_the_size_is_taken_as_it_is(resize):
  images = drawn(2, 16, 16, 3)
  assert of_images(images, taken(resize=resize)) is images
  batch = of_images(jnp.asarray(images), taken(resize=resize))
  np.testing.assert_array_equal(batch, images)
  listed = of_images(list(images), taken(resize=resize))
  assert (listed == images).all() == (resize == "exact")  # As they come.


@pytest.mark.parametrize(
  "images,message",
  [
    (drawn(16, 16, 3), r"uint8\[b, h, w, 3\]"),
    (drawn(2, 20, 20, 1), r"uint8\[b, h, w, 3\]"),
    (np.zeros((2, 20, 20, 3)), r"float64\[2, 20, 20, 3\].*uint8"),
    (drawn(2, 0, 20, 3), "give pixels"),
    ([drawn(20, 20, 3), drawn(20, 20)], r"uint8\[20, 20\].*uint8\[h, w, 3\]"),
    (7, "give pixels"),
  ],
)
def test_what_cannot_be_cut_is_refused(images, message):
  with pytest.raises(ValueError, match=message):
    of_images(images, taken())


@pytest.mark.parametrize("resize", ["exact", "centre"])
def test_no_images_are_no_mistake(resize):
  for nothing in ([], drawn(0, 16, 16, 3)):
    assert of_images(nothing, taken(resize=resize)).shape == (0, 16, 16, 3)


def test_sounds_are_filled_up_or_cut():
  input = SoundInput(5, 8000)
  whole = np.arange(1, 8, dtype=np.int16)
  batch = of_sounds([whole, whole[:2], np.array([1.0, -1.0, 0.5])], input)
  assert batch.dtype == np.int16
  assert batch.tolist() == [
    [1, 2, 3, 4, 5],
    [1, 2, 0, 0, 0],
    [32767, -32767, 16384, 0, 0],
  ]
  assert of_sounds(whole[None], input).tolist() == [[1, 2, 3, 4, 5]]
  assert of_sounds([], input).shape == (0, 5)
  assert not of_sounds([np.zeros(0)], input).any()


@pytest.mark.parametrize(
  "sounds",
  [
    np.zeros(9, np.int16),
    np.zeros((2, 3, 1), np.int16),
    [np.zeros((2, 4), np.int16)],
    [np.zeros(4, np.int32)],
    [np.array([0.0, np.nan])],
    [np.array([0.0, 2.1])],
    [np.float32(0.1), np.float32(0.2)],
    np.zeros((9, 2), np.int16),  # One sound of two channels.
    np.zeros((9, 1), np.int16),
    None,
  ],
)
def test_what_is_no_sound_is_refused(sounds):
  with pytest.raises(ValueError, match="give"):
    of_sounds(sounds, SoundInput(5, 8000))


def test_sounds_of_another_sample_rate_are_refused():
  read, sound = reader(SoundInput(5, 8000)), [np.ones(3, np.int16)]
  np.testing.assert_array_equal(read(sound, 8000), read(sound))
  with pytest.raises(ValueError, match=r"44100 .* 8000; .* 80, 441\)"):
    read(sound, 44100)
  for rate in (0, -1, float("nan"), float("inf"), "8000", [8000]):
    with pytest.raises(ValueError, match="sample_rate is"):
      read(sound, rate)
  with pytest.raises(ValueError, match="takes images; leave it"):
    reader(taken())(drawn(1, 16, 16, 3), 8000)


def test_what_is_resampled_as_advised_stays_as_loud():
  """What the message for another sample rate says."""
  wave = np.sin(np.arange(1600) / 20)
  sound = np.round(30000 * wave).astype(np.int16)
  with pytest.raises(ValueError, match="resample_poly") as caught:
    reader(SoundInput(800, 8000))([sound], 16000)
  advice = re.search(r"scipy\.(.*\))", str(caught.value))[1]
  resampled = eval(advice, {"signal": scipy.signal, "sound": sound})
  (row,) = of_sounds([resampled], SoundInput(800, 8000))
  middle = slice(100, 700)  # Ends ring.
  np.testing.assert_allclose(row[middle], sound[::2][middle], rtol=0, atol=300)


def test_a_model_whose_networks_saw_many_sizes(tmp_path):
  case = trained("tiny_vgg")
  shape = case.swapnet.teacher.input_shape
  case.write(
    tmp_path / "bundle",
    input=ImageInput(shape, MEAN, DEVIATION, "centre"),
    store="safetensors",
    platforms=("cpu",),
  )
  images = [drawn(30, 20, 3), drawn(12, 19, 3)]
  seen = np.stack(
    [views.centre_view(Image.fromarray(i), shape[0]) for i in images]
  )
  with open_model(tmp_path / "bundle", cache_dir=tmp_path / "cache") as model:
    assert_close(model(images), case.golden(seen, "SSS"), 1e-4)
