"""The presets: pairs of a teacher and a student that fit, by name.

The `tiny_` ones are for tests and demonstrations.
"""

from pwl_jax.models.audio_presets import AUDIO
from pwl_jax.models.image_presets import IMAGES
from pwl_jax.models.preset import Preset
from pwl_jax.models.text_presets import TEXTS

PRESETS: dict[str, Preset] = {**IMAGES, **TEXTS, **AUDIO}
