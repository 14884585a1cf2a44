"""The form of `results.json`, field by field; docs/report.md describes them."""

from typing import Any

from pwl_jax.method import composition as compositions
from pwl_jax.report import forms
from pwl_jax.report.forms import fields, listed, maybe, named

SPLITS = ("valid", "test")
LISTS = ("units", "budgets")

SCORE = fields(
  {
    "count": forms.whole,
    "top1": forms.share,
    "top5": maybe(forms.share),
    "loss": forms.amount,
    "interval": listed(forms.share),
  }
)
SCORES = {split: maybe(SCORE) for split in SPLITS}
SIZES = {"bytes": forms.amount, "flops": maybe(forms.amount)}
PIECE = {**SIZES, "parameters": forms.whole}
WORTH = fields({"worst_step": forms.share, "mean_accuracy": forms.share})
CHOICE = fields({"bytes": forms.amount, "composition": forms.text})
# May be left out or null.
EXTRAS = {
  "pwl_jax": maybe(forms.text),
  "jax": maybe(forms.text),
  "devices": maybe(forms.text),
  "budget": maybe(CHOICE),
  "calibration": maybe(
    fields(dict.fromkeys(("images", "tried", "kept", "bytes"), forms.whole))
  ),
  "refit": maybe(
    fields(
      {
        "images": forms.whole,
        "boundaries": listed(
          fields(
            {
              "boundary": forms.whole,
              "kept": forms.flag,
              "before": forms.share,
              "after": forms.share,
            }
          )
        ),
      }
    )
  ),
}
PARTS = {
  "config": named(forms.anything),
  "data": fields(
    {
      "name": forms.text,
      "image": listed(forms.whole),
      "kind": maybe(forms.text),
      "sample_rate": maybe(forms.whole),
      **dict.fromkeys(("classes", "train", *SPLITS), forms.whole),
    },
    optional=["kind", "sample_rate"],
  ),
  "absent": named(forms.text),
  "stages": named(
    fields(
      {"steps": forms.whole, "seconds": forms.amount, "digest": forms.text}
    )
  ),
  "networks": named(fields({**PIECE, **SCORES})),
  "units": listed(
    fields(
      {
        **dict.fromkeys(
          compositions.ROLES.values(), fields({**PIECE, "width": forms.whole})
        ),
        "converter": maybe(
          fields({"parameters": forms.whole, "bytes": forms.amount})
        ),
      }
    )
  ),
  "compositions": named(
    fields(
      {
        **SIZES,
        **SCORES,
        "calibrated": forms.flag,
        "uncalibrated": maybe(fields(SCORES)),
      }
    )
  ),
  "families": named(listed(forms.text)),
  "ladders": named(
    fields(
      {
        "order": listed(forms.whole),
        "rungs": listed(forms.text),
        "loaded_bytes": listed(forms.amount),
        "loaded_seconds": maybe(listed(forms.amount)),
        **dict.fromkeys(SPLITS, WORTH),
      },
      optional=["loaded_seconds"],
    )
  ),
  "budgets": listed(CHOICE),
}
FORM = fields({**PARTS, **EXTRAS}, optional=tuple(EXTRAS))


def nothing() -> dict[str, Any]:
  """Of a run that was not evaluated; without the schema's number."""
  empty = {part: [] if part in LISTS else {} for part in PARTS}
  return {**empty, **dict.fromkeys(EXTRAS)}
