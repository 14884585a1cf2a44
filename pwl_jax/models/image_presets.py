"""Pairs of networks of images.

`vgg`, `resnet`, `vit` and `lenet5` are the authors', who give all pairs but
the last equal widths; the others exercise converters.
"""

from pwl_jax.models.lenet import lenet
from pwl_jax.models.preset import Preset, Size, transformer_shape
from pwl_jax.models.resnet import resnet
from pwl_jax.models.vgg import vgg
from pwl_jax.models.vit import vit

_TINY_TEACHER = transformer_shape(192, num_layers=12, layers_per_unit=2)
_TINY_STUDENT = transformer_shape(192, num_layers=6, layers_per_unit=1)
# The ViTs that others publish, and the smallest of them.
_PUBLISHED = dict(num_layers=12, layers_per_unit=2, norm_epsilon=1e-6)
_PUBLISHED_TINY = Size(5_717_416, **transformer_shape(192))

IMAGES: dict[str, Preset] = {
  "lenet5": Preset(
    build=lenet,
    teacher=Size(62_006, conv_widths=(6, 16)),
    student=Size(35_970, conv_widths=(3, 8)),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "vgg": Preset(
    build=vgg,
    teacher=Size(14_728_266),
    student=Size(3_918_858, depths=(1, 1, 1, 1, 1)),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "vgg_narrow": Preset(
    build=vgg,
    teacher=Size(14_728_266),
    student=Size(
      982_538, widths=(32, 64, 128, 256, 256), depths=(1, 1, 1, 1, 1)
    ),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "tiny_vgg": Preset(
    build=vgg,
    teacher=Size(8_666, widths=(8, 16, 16), depths=(1, 2, 2)),
    student=Size(1_802, widths=(4, 8, 16), depths=(1, 1, 1)),
    input_shape=(16, 16, 3),
    num_classes=10,
  ),
  "resnet": Preset(
    build=resnet,
    common=dict(widths=(32, 64, 128, 256)),
    teacher=Size(5_338_762, depths=(3, 4, 6, 3)),
    student=Size(1_241_226, depths=(1, 1, 1, 1)),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "resnet_narrow": Preset(
    build=resnet,
    teacher=Size(5_338_762, widths=(32, 64, 128, 256), depths=(3, 4, 6, 3)),
    student=Size(318_186, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1)),
    input_shape=(32, 32, 3),
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
    input_shape=(224, 224, 3),
    num_classes=1000,
  ),
  "tiny_resnet": Preset(
    build=resnet,
    common=dict(stem_width=8),
    teacher=Size(44_370, widths=(8, 16, 32), depths=(2, 2, 2)),
    student=Size(5_514, widths=(4, 8, 16), depths=(1, 1, 1)),
    input_shape=(16, 16, 3),
    num_classes=10,
  ),
  # For CIFAR on a CPU.
  "small_vgg": Preset(
    build=vgg,
    teacher=Size(295_770, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)),
    student=Size(25_418, widths=(8, 16, 32, 64), depths=(1, 1, 1, 1)),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "small_resnet": Preset(
    build=resnet,
    common=dict(stem_width=16),
    teacher=Size(701_466, widths=(16, 32, 64, 128), depths=(2, 2, 2, 2)),
    student=Size(78_954, widths=(8, 16, 32, 64), depths=(1, 1, 1, 1)),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "small_vit": Preset(
    build=vit,
    common=dict(patch=4, num_layers=6, layers_per_unit=2, heads=4),
    teacher=Size(460_906, width=96, mlp_width=192),
    student=Size(55_338, width=32, mlp_width=64),
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  # For the embedded digits: a student so small that it shows.
  "digits_resnet": Preset(
    build=resnet,
    teacher=Size(174_970, stem_width=16, widths=(16, 32, 64), depths=(2, 2, 2)),
    student=Size(2_142, stem_width=4, widths=(4, 6, 8), depths=(1, 1, 1)),
    input_shape=(8, 8, 1),
    num_classes=10,
  ),
  "vit": Preset(
    build=vit,
    teacher=Size(5_526_346, **_TINY_TEACHER),
    student=Size(2_857_162, **_TINY_STUDENT),
    input_shape=(224, 224, 3),
    num_classes=10,
  ),
  # The function the authors' code computes: their files hold a final
  # LayerNorm (384 parameters) that their forward pass skips.
  "vit_reference": Preset(
    build=vit,
    common=dict(final_norm=False),
    teacher=Size(5_526_346 - 384, **_TINY_TEACHER),
    student=Size(2_857_162 - 384, **_TINY_STUDENT),
    input_shape=(224, 224, 3),
    num_classes=10,
  ),
  "vit_small_tiny": Preset(
    build=vit,
    common=_PUBLISHED,
    teacher=Size(22_050_664, **transformer_shape(384)),
    student=_PUBLISHED_TINY,
    input_shape=(224, 224, 3),
    num_classes=1000,
  ),
  "vit_base_tiny": Preset(
    build=vit,
    common=_PUBLISHED,
    teacher=Size(86_567_656, **transformer_shape(768)),
    student=_PUBLISHED_TINY,
    input_shape=(224, 224, 3),
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
    input_shape=(32, 32, 3),
    num_classes=10,
  ),
  "tiny_vit": Preset(
    build=vit,
    common=dict(patch=4, heads=2),
    teacher=Size(
      14_618, width=16, mlp_width=32, num_layers=6, layers_per_unit=2
    ),
    student=Size(2_442, width=8, mlp_width=16, num_layers=3, layers_per_unit=1),
    input_shape=(16, 16, 3),
    num_classes=10,
  ),
}
