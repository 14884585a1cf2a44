"""The presets: pairs of a teacher and a student that fit, by name.

`vgg`, `resnet`, `vit` and `lenet5` are the authors', who give all pairs but
the last equal widths; the others exercise converters. The `tiny_` ones are
for tests and demonstrations, and `bert_text` is for a teacher of BERT's size.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pwl_jax.models.audio import audio_resnet, audio_vit
from pwl_jax.models.lenet import lenet
from pwl_jax.models.resnet import resnet
from pwl_jax.models.text import text
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit


class Size:
  """One network of a preset: its parameter count and its builder's options.

  The count is stated so that a reader sees it; a test holds it.
  """

  def __init__(self, parameters: int, **options: Any):
    self.parameters = parameters
    self.options = options


@dataclasses.dataclass(frozen=True)
class Preset:
  """A pair of networks that fit each other, unit by unit."""

  # (num_classes=, dtype=, and the options below) -> units.
  build: Callable[..., tuple]
  teacher: Size
  student: Size
  # One input: height, width, channels of an image; tokens; samples of a sound.
  image: tuple[int, ...]
  num_classes: int
  common: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  input_dtype: str = "float32"  # "int32" for tokens.


def _shape(width: int, **options) -> dict:
  """The usual proportions: heads of 64 channels, an MLP of 4 widths."""
  return dict(width=width, heads=width // 64, mlp_width=4 * width) | options


_STRIDED = dict(kernel=5, stride=2, pool=False)  # A stem for spectrograms.
_TINY_TEACHER = _shape(192, num_layers=12, layers_per_unit=2)
_TINY_STUDENT = _shape(192, num_layers=6, layers_per_unit=1)

PRESETS: dict[str, Preset] = {
  "lenet5": Preset(
    build=lenet,
    teacher=Size(62_006, conv_widths=(6, 16)),
    student=Size(35_970, conv_widths=(3, 8)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "vgg": Preset(
    build=vgg,
    teacher=Size(14_728_266),
    student=Size(3_918_858, depths=(1, 1, 1, 1, 1)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "vgg_narrow": Preset(
    build=vgg,
    teacher=Size(14_728_266),
    student=Size(
      982_538, widths=(32, 64, 128, 256, 256), depths=(1, 1, 1, 1, 1)
    ),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "tiny_vgg": Preset(
    build=vgg,
    teacher=Size(8_666, widths=(8, 16, 16), depths=(1, 2, 2)),
    student=Size(1_802, widths=(4, 8, 16), depths=(1, 1, 1)),
    image=(16, 16, 3),
    num_classes=10,
  ),
  "resnet": Preset(
    build=resnet,
    common=dict(widths=(32, 64, 128, 256)),
    teacher=Size(5_338_762, depths=(3, 4, 6, 3)),
    student=Size(1_241_226, depths=(1, 1, 1, 1)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "resnet_narrow": Preset(
    build=resnet,
    teacher=Size(5_338_762, widths=(32, 64, 128, 256), depths=(3, 4, 6, 3)),
    student=Size(318_186, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "resnet50_resnet18": Preset(
    build=resnet,
    common=dict(stem="imagenet"),
    teacher=Size(
      25_557_032,
      widths=(256, 512, 1024, 2048),
      depths=(3, 4, 6, 3),
      block="bottleneck",
    ),
    student=Size(11_689_512, widths=(64, 128, 256, 512), depths=(2, 2, 2, 2)),
    image=(224, 224, 3),
    num_classes=1000,
  ),
  "tiny_resnet": Preset(
    build=resnet,
    common=dict(stem_width=8),
    teacher=Size(44_370, widths=(8, 16, 32), depths=(2, 2, 2)),
    student=Size(5_514, widths=(4, 8, 16), depths=(1, 1, 1)),
    image=(16, 16, 3),
    num_classes=10,
  ),
  # For CIFAR on a CPU.
  "small_vgg": Preset(
    build=vgg,
    teacher=Size(295_770, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)),
    student=Size(25_418, widths=(8, 16, 32, 64), depths=(1, 1, 1, 1)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "small_resnet": Preset(
    build=resnet,
    common=dict(stem_width=16),
    teacher=Size(701_466, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)),
    student=Size(78_954, widths=(8, 16, 32, 64), depths=(1, 1, 1, 1)),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "small_vit": Preset(
    build=vit,
    common=dict(patch=4, num_layers=6, layers_per_unit=2, heads=4),
    teacher=Size(460_906, width=96, mlp_width=192),
    student=Size(55_338, width=32, mlp_width=64),
    image=(32, 32, 3),
    num_classes=10,
  ),
  # For the embedded digits: a student so small that it shows.
  "digits_resnet": Preset(
    build=resnet,
    teacher=Size(174_970, stem_width=16, widths=(16, 32, 64), depths=(2, 2, 2)),
    student=Size(2_142, stem_width=4, widths=(4, 6, 8), depths=(1, 1, 1)),
    image=(8, 8, 1),
    num_classes=10,
  ),
  "vit": Preset(
    build=vit,
    teacher=Size(5_526_346, **_TINY_TEACHER),
    student=Size(2_857_162, **_TINY_STUDENT),
    image=(224, 224, 3),
    num_classes=10,
  ),
  # The function the authors' code computes: their files hold a final
  # LayerNorm (384 parameters) that their forward pass skips.
  "vit_reference": Preset(
    build=vit,
    common=dict(final_norm=False),
    teacher=Size(5_526_346 - 384, **_TINY_TEACHER),
    student=Size(2_857_162 - 384, **_TINY_STUDENT),
    image=(224, 224, 3),
    num_classes=10,
  ),
  "vit_small_tiny": Preset(
    build=vit,
    common=dict(num_layers=12, layers_per_unit=2, norm_epsilon=1e-6),
    teacher=Size(22_050_664, **_shape(384)),
    student=Size(5_717_416, **_shape(192)),
    image=(224, 224, 3),
    num_classes=1000,
  ),
  "vit_base_tiny": Preset(
    build=vit,
    common=dict(num_layers=12, layers_per_unit=2, norm_epsilon=1e-6),
    teacher=Size(86_567_656, **_shape(768)),
    student=Size(5_717_416, **_shape(192)),
    image=(224, 224, 3),
    num_classes=1000,
  ),
  "vit_cifar": Preset(
    build=vit,
    common=dict(patch=4),
    teacher=Size(5_362_762, **_TINY_TEACHER),
    student=Size(
      683_242,
      width=96,
      heads=3,
      mlp_width=384,
      num_layers=6,
      layers_per_unit=1,
    ),
    image=(32, 32, 3),
    num_classes=10,
  ),
  "tiny_vit": Preset(
    build=vit,
    common=dict(patch=4, heads=2),
    teacher=Size(
      14_618, width=16, mlp_width=32, num_layers=6, layers_per_unit=2
    ),
    student=Size(2_442, width=8, mlp_width=16, num_layers=3, layers_per_unit=1),
    image=(16, 16, 3),
    num_classes=10,
  ),
  "tiny_text": Preset(
    build=text,
    common=dict(
      vocab_size=50, max_length=12, heads=2, num_layers=3, layers_per_unit=1
    ),
    teacher=Size(7_730, width=16, mlp_width=32),
    student=Size(2_330, width=8, mlp_width=16),
    image=(12,),
    num_classes=2,
    input_dtype="int32",
  ),
  # For sentences on a CPU.
  "small_text": Preset(
    build=text,
    common=dict(
      vocab_size=8000, max_length=64, num_layers=4, layers_per_unit=1
    ),
    teacher=Size(1_562_626, width=128, heads=4, mlp_width=256, dropout=0.1),
    student=Size(292_354, width=32, heads=2, mlp_width=64),
    image=(64,),
    num_classes=2,
    input_dtype="int32",
  ),
  "bert_text": Preset(
    build=text,
    common=dict(
      vocab_size=30522,
      max_length=512,
      token_types=2,
      norm="post",
      pooling="first",
      pooler="tanh",
      num_layers=12,
      layers_per_unit=2,
      dropout=0.1,
    ),
    teacher=Size(109_483_778, **_shape(768)),
    student=Size(11_335_106, **_shape(192)),
    image=(128,),
    num_classes=2,
    input_dtype="int32",
  ),
  # Waveforms of one second; the first unit makes spectrograms of them.
  "tiny_audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000, stem_width=8, stem=_STRIDED),
    teacher=Size(44_354, widths=(8, 16, 32), depths=(2, 2, 2)),
    student=Size(5_498, widths=(4, 8, 16), depths=(1, 1, 1)),
    image=(2000,),
    num_classes=10,
  ),
  "small_audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000, stem=_STRIDED),
    teacher=Size(
      701_434, stem_width=16, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)
    ),
    student=Size(
      4_574, stem_width=4, widths=(4, 6, 8, 12), depths=(1, 1, 1, 1)
    ),
    image=(8000,),
    num_classes=10,
  ),
  "audio": Preset(
    build=audio_resnet,
    common=dict(sample_rate=8000),
    teacher=Size(5_337_610, widths=(32, 64, 128, 256), depths=(3, 4, 6, 3)),
    student=Size(317_034, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1)),
    image=(8000,),
    num_classes=10,
  ),
  "audio_vit": Preset(
    build=audio_vit,
    common=dict(sample_rate=8000, patch=8, num_layers=6, layers_per_unit=2),
    teacher=Size(2_692_042, width=192, heads=3, mlp_width=768),
    student=Size(682_474, width=96, heads=3, mlp_width=384),
    image=(8000,),
    num_classes=10,
  ),
}
