"""The log-mel front end: what it computes, and units that begin with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.models import audio, with_sync_axis
from pwl_jax.models.audio import LogMel, audio_resnet, audio_vit
from pwl_jax.models.resnet import resnet
from tests.cases import assert_close

RATE = 8000
WIDTHS = dict(widths=(4, 8), depths=(1, 1), stem_width=4)


def waves(n=3, samples=RATE):
  """Noise, a sweep of tones, and both; not as loud at every moment."""
  time = np.arange(samples) / RATE
  noise = np.random.default_rng(0).normal(size=(n, samples)) / 8
  sweep = np.sin(2 * np.pi * (100 + 1500 * time) * time)
  loudness = np.exp(-3 * time)
  shares = np.linspace(0, 1, n)[:, None]
  found = ((1 - shares) * noise + shares * sweep) * loudness
  return np.clip(found, -1, 1).astype(np.float32)


def plain(x, *, mels, window, hop, low_hz, floor, normalise):
  """The front end once more, slowly, in double precision."""

  def mel(hertz):
    if hertz < 1000:
      return hertz * 15 / 1000
    return 15 + 27 * np.log(hertz / 1000) / np.log(6.4)

  def hertz(mel):
    return 1000 * mel / 15 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

  edges = [hertz(m) for m in np.linspace(mel(low_hz), mel(RATE / 2), mels + 2)]
  n = np.arange(window)
  hann = np.sin(np.pi * n / window) ** 2
  hann = hann / hann.sum()
  frequencies = np.arange(window // 2 + 1)
  waves = np.exp(-2j * np.pi * np.outer(n, frequencies) / window)
  out = []
  for wave in x.astype(np.float64):
    count = -(-len(wave) // hop)
    missing = max(0, (count - 1) * hop + window - len(wave))
    wave = np.pad(wave, (missing // 2, missing - missing // 2))
    frames = []
    for i in range(count):
      frame = wave[i * hop : i * hop + window]
      power = np.abs((frame * hann) @ waves) ** 2
      bands = [
        power
        @ np.interp(frequencies * RATE / window, edges[i : i + 3], [0, 1, 0])
        for i in range(mels)
      ]
      frames.append(np.log1p(np.array(bands) / floor))
    frames = np.array(frames)
    if normalise == "fixed":
      frames = (frames - audio.MEAN) / audio.DEVIATION
    else:
      frames = (frames - frames.mean()) / max(frames.std(), audio.MIN_DEVIATION)
    out.append(frames)
  return np.array(out)[..., None]


@pytest.mark.parametrize(
  "samples,window,hop,mels,normalise",
  [
    (8000, 256, 125, 40, "example"),
    (8000, 256, 125, 40, "fixed"),
    (1001, 200, 80, 23, "example"),
    (999, 300, 333, 31, "fixed"),
    (100, 256, 125, 16, "example"),
  ],
)
def test_it_agrees_with_a_plain_version(samples, window, hop, mels, normalise):
  x = waves(samples=samples)
  front_end = LogMel(
    RATE,
    mels=mels,
    window_seconds=window / RATE,
    hop_seconds=hop / RATE,
    normalise=normalise,
  )
  expected = plain(
    x,
    mels=mels,
    window=window,
    hop=hop,
    low_hz=front_end.low_hz,
    floor=front_end.floor,
    normalise=normalise,
  )
  found = np.asarray(jax.jit(front_end)(x))
  assert found.dtype == np.float32
  assert found.shape == (3, -(-samples // hop), mels, 1)
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_tone_is_loudest_in_its_band_whatever_the_rate():
  for rate in (8000, 16000):
    bank = audio.mel_bank(rate, window=rate * 32 // 1000, mels=30)
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    found = LogMel(rate, mels=30, low_hz=0.0)(tone[None].astype(np.float32))
    assert found.shape == (1, 64, 30, 1)
    bands = np.asarray(found)[0, 10:-10, :, 0]
    assert (bands.argmax(-1) == bank[32].argmax()).all()  # 1000 Hz.


def test_between_the_outermost_centres_all_frequencies_weigh_one():
  bank = audio.mel_bank(RATE, window=512, mels=20)
  assert bank.shape == (257, 20) and (bank.sum(0) > 0).all()
  first, last = bank[:, 0].argmax(), bank[:, -1].argmax()
  inside = bank.sum(1)[first + 1 : last]
  np.testing.assert_allclose(inside, np.ones_like(inside), rtol=1e-6)


def test_silence_is_one_number_and_loudness_hardly_counts():
  silence = np.zeros((2, RATE), np.float32)
  assert (np.asarray(LogMel(RATE)(silence)) == 0).all()
  fixed = np.asarray(LogMel(RATE, normalise="fixed")(silence))
  assert np.isfinite(fixed).all() and fixed.min() == fixed.max()
  # Well above the floor.
  noise = np.random.default_rng(0).normal(size=(1, RATE)).astype(np.float32)
  assert_close(LogMel(RATE)(noise / 32), LogMel(RATE)(noise / 4), 2e-3)


def test_an_example_does_not_depend_on_its_neighbours():
  x = waves()
  assert_close(LogMel(RATE)(x[1:2]), np.asarray(LogMel(RATE)(x))[1:2], 1e-5)


def test_the_wrapped_unit_is_the_unit_behind_the_front_end():
  units = resnet(**WIDTHS)
  images = Network(units, (64, 40, 1))
  network = Network(audio_resnet(**WIDTHS, sample_rate=RATE), (RATE,))
  assert network.shapes() == images.shapes()
  assert network.abstract_variables() == images.abstract_variables()
  assert hash(network) == hash(Network(network.units, (RATE,)))
  variables = images.init(jax.random.key(0))
  x = waves()
  for train in (False, True):
    found = network.apply(variables, x, train=train)
    expected = images.apply(variables, LogMel(RATE)(x), train=train)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), found, expected)
  synced = with_sync_axis(network, "rows").units[0]
  assert synced.unit.sync_axis == synced.unit.stem.sync_axis == "rows"


@pytest.mark.parametrize("platforms", [("cpu", "cuda", "tpu")])
def test_it_exports_for_every_batch_size_and_platform(platforms):
  unit = audio_resnet(**WIDTHS, sample_rate=RATE)[0]
  x = waves(2)
  variables = unit.init(jax.random.key(0), x, train=False)

  def run(variables, x):
    return unit.apply(variables, x, train=False)

  (batch,) = export.symbolic_shape("b")
  abstract = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables
  )
  takes = jax.ShapeDtypeStruct((batch, RATE), jnp.float32)
  program = export.export(jax.jit(run), platforms=platforms)(abstract, takes)
  program = export.deserialize(program.serialize())
  for some in (x, x[:1]):
    assert_close(program.call(variables, some), run(variables, some), 1e-4)


def test_compositions_of_a_resnet_and_of_a_vit_answer_waveforms():
  vit = dict(heads=2, mlp_width=8, num_layers=2, layers_per_unit=1)
  vit |= dict(patch=(16, 8), sample_rate=RATE)
  pairs = [
    [
      audio_resnet(widths, (1, 1), stem_width=4, sample_rate=RATE)
      for widths in ((4, 8), (2, 4))
    ],
    [audio_vit(width=width, **vit) for width in (8, 4)],
  ]
  x = waves(2)
  x[1] = 0  # Silence has an answer too.
  for pair, composition in zip(pairs, ("TS", "ST"), strict=True):
    swapnet = SwapNet.create(*(Network(units, (RATE,)) for units in pair))
    variables = jax.jit(swapnet.init)(jax.random.key(0))
    run = jax.jit(swapnet.logits, static_argnums=2)
    logits = np.asarray(run(variables, x, composition))
    assert logits.shape == (2, 10) and np.isfinite(logits).all()


def test_computing_in_bfloat16_keeps_the_spectrogram():
  units = audio_resnet(**WIDTHS, sample_rate=RATE, dtype=jnp.bfloat16)
  network = Network(units, (RATE,))
  assert network.abstract_features()[1].dtype == jnp.bfloat16
  assert LogMel(RATE)(waves().astype(jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.parametrize(
  "call,message",
  [
    (lambda x: LogMel(RATE)(x[0]), r"\[b, samples\], got float32 \[8000\]"),
    (lambda x: LogMel(RATE)(x.astype(int)), "divide 16-bit samples by 32768"),
    (lambda x: LogMel(RATE)(x[:, :0]), "no samples"),
    (lambda x: LogMel(RATE, mels=200)(x), "of 200 bands.*fewer mels"),
    (lambda x: LogMel(RATE, mels=0)(x), "mels is 0"),
    (lambda x: LogMel(RATE, low_hz=4000.0)(x), "low_hz is 4000.0.*below 4000"),
    (lambda x: LogMel(0)(x), "window_seconds times a sample_rate of 0 is 0"),
    (lambda x: LogMel(RATE, normalise="exmple")(x), "did you mean 'example'"),
    (lambda x: audio_resnet((4,), (1,), sample_rate=RATE), "two units"),
  ],
)
def test_what_will_not_do_is_named(call, message):
  with pytest.raises(ValueError, match=message):
    call(waves())
