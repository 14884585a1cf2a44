"""Pairs of networks of sounds, waveforms of one second.

The first unit makes spectrograms of them.
"""

from pwl_jax.models.audio import audio_resnet, audio_vit
from pwl_jax.models.preset import Preset, Size

_STRIDED = dict(kernel=5, stride=2, pool=False)  # A stem for spectrograms.

AUDIO: dict[str, Preset] = {
  "tiny_audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000, stem_width=8, stem=_STRIDED),
    teacher=Size(44_354, widths=(8, 16, 32), depths=(2, 2, 2)),
    student=Size(5_498, widths=(4, 8, 16), depths=(1, 1, 1)),
    input_shape=(2000,),
    num_classes=10,
  ),
  "small_audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000, stem=_STRIDED),
    teacher=Size(
      701_434, stem_width=16, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)
    ),
    student=Size(
      17_466, stem_width=8, widths=(8, 12, 16, 24), depths=(1, 1, 1, 1)
    ),
    input_shape=(8000,),
    num_classes=10,
  ),
  "audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000),
    teacher=Size(5_337_610, widths=(32, 64, 128, 256), depths=(3, 4, 6, 3)),
    student=Size(317_034, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1)),
    input_shape=(8000,),
    num_classes=10,
  ),
  "audio_vit": Preset(
    build=audio_vit,
    common=dict(sample_rate=8000, patch=8, num_layers=6, layers_per_unit=2),
    teacher=Size(2_692_042, width=192, heads=3, mlp_width=768),
    student=Size(682_474, width=96, heads=3, mlp_width=384),
    input_shape=(8000,),
    num_classes=10,
  ),
}
