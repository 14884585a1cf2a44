"""Spoken digits: waveforms in, spectrograms in the first unit.

  python -m pwl_jax.main --config=configs/audio.py:small \
    --config.data.data_dir=DIR --workdir=runs/audio

The argument is `small`, networks that two CPU cores train in minutes, or
`full`. DIR has tfds:spoken_digit:1.0.9, 2,500 recordings of 8,000 samples a
second; each is cut or filled up to one second. Takes 0 to 4 of every speaker
and digit are what is reported on, 250 recordings, as is usual.

Reached by `small` (701,434 parameters teach 17,466) on these 250, in 11 minutes
on two CPU cores that had other work too: teacher 99.2 %, student plain 98.8 %,
student with plain distillation 98.0 %, swap network SSSS 100.0, TSSS 99.6, TTSS
99.2, TTTS 99.2, TTTT 99.2 %; the worst of all compositions is STST, 97.2 %.
"""

from pwl_jax.config import default_config

PRESETS = {"small": "small_audio", "full": "audio"}


def get_config(argument="full"):
  if argument not in PRESETS:
    raise ValueError(
      f"configs/audio.py:{argument}: write {' or '.join(PRESETS)}"
    )
  config = default_config()
  config.data.name = "tfds:spoken_digit:1.0.9"
  config.model.preset = PRESETS[argument]
  config.augment.frequency_mask = 0.1
  epochs = 15 if argument == "small" else 60
  for name in ("teacher", "student", "distill"):
    config[name].update(
      epochs=epochs, batch_size=64, warmup_epochs=1.0, clip_norm=1.0
    )
  config.teacher.epochs = 2 * epochs
  config.distill.epochs = 4 * epochs
  return config
