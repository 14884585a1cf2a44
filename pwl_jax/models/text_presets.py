"""Pairs of networks of texts; `bert_text` has a teacher of BERT's size."""

from pwl_jax.models.preset import Preset, Size, transformer_shape
from pwl_jax.models.text import text

TEXTS: dict[str, Preset] = {
  "tiny_text": Preset(
    build=text,
    common=dict(
      vocab_size=50, max_length=12, heads=2, num_layers=3, layers_per_unit=1
    ),
    teacher=Size(7_730, width=16, mlp_width=32),
    student=Size(2_330, width=8, mlp_width=16),
    input_shape=(12,),
    num_classes=2,
  ),
  # For sentences on a CPU.
  "small_text": Preset(
    build=text,
    common=dict(
      vocab_size=8000, max_length=64, num_layers=4, layers_per_unit=1
    ),
    teacher=Size(1_562_626, width=128, heads=4, mlp_width=256, dropout=0.1),
    student=Size(292_354, width=32, heads=2, mlp_width=64),
    input_shape=(64,),
    num_classes=2,
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
    teacher=Size(109_483_778, **transformer_shape(768)),
    student=Size(11_335_106, **transformer_shape(192)),
    input_shape=(128,),
    num_classes=2,
  ),
}
