"""Sentences of films, negative or positive (SST-2), from their strings.

  python -m pwl_jax.main --config=configs/text.py:small \
    --config.data.data_dir=DIR --workdir=runs/text

The argument is `small`, networks that two CPU cores train in minutes, or
`full`. DIR has tfds:glue/sst2; its validation split is what is reported on, as
the test split hides its labels. Texts are cut into tokens, which are learnt
from the training split, or are BERT's with `--config.imported.path`, the folder
of a BERT that `transformers` saved.

Reached by `small` (1,562,626 parameters teach 292,354) on these 872, in 14
minutes on two CPU cores that had other work too: teacher 81.0 %, student plain
79.5 %, student with plain distillation 80.2 %, swap network SSSS 80.4, TSSS
80.8, TTSS 80.4, TTTS 80.5, TTTT 81.0 %; no composition is below 79.9 %. Of the
phrases that are held out: 90.4, 88.2, 88.7 and SSSS 89.0 %.
"""

from pwl_jax.config import default_config

PRESETS = {"small": "small_text", "full": "bert_text"}


def get_config(argument="full"):
  if argument not in PRESETS:
    raise ValueError(
      f"configs/text.py:{argument}: write {' or '.join(PRESETS)}"
    )
  config = default_config()
  small = argument == "small"
  config.data.update(
    name="tfds:glue/sst2",
    tokens=32 if small else 128,
    vocabulary=8000 if small else 30522,
  )
  config.model.preset = PRESETS[argument]
  for name in ("teacher", "student", "distill"):
    config[name].update(
      optimizer="adamw",
      learning_rate=1e-3 if small else 1e-4,
      warmup_epochs=0.1,
      weight_decay=0.05,
      decay="kernels",
      clip_norm=1.0,
      epochs=1 if small else 5,
    )
  if small:
    config.teacher.epochs = 2
  config.evaluate_every = 1
  return config
