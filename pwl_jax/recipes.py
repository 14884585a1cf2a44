"""Ways to train the swap network, by name: what a recipe says, a config holds.

  --config.recipe=paper

sets the fields that the recipe names, wherever they are at their defaults; what
was set by hand stays. A recipe is nothing else: plain fields, and each of them
can be set alone. `python -m benchmarks.quality` compares recipes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Named(NamedTuple):
  """A recipe: in words, and in fields of the config."""

  says: str
  fields: Mapping[str, Any]


RECIPES = {
  "mixed": Named("every example its own composition; the defaults", {}),
  "paper": Named(
    "one composition for the whole batch, linear converters from random "
    "numbers and slow, no clipping, running averages of one pass after the "
    "other",
    {
      "cross": "per_batch",
      "distill.clip_norm": 0.0,
      "distill.converter_rate": 0.2,
      "fit_converters": False,
      "model.converter": "auto",
      "objective.stats_rule": "sequence",
    },
  ),
  "tails": Named(
    "the teacher up to each boundary in turn, the student behind it",
    {"cross": "all"},
  ),
  "labels": Named(
    "mixed; half-replaced networks learn labels too",
    {"objective.cross_alpha": 0.4},
  ),
  "decoupled": Named(
    "mixed; a teacher that is sure of the label still says much of the other "
    "classes",
    {"objective.others_weight": 2.0},
  ),
  "uniform": Named(
    "mixed; all compositions as often", {"objective.sampler": "uniform"}
  ),
  "switch": Named(
    "mixed; compositions of one switch", {"objective.sampler": "switch"}
  ),
  "heavy": Named(
    "mixed; the cross loss counts twice as much",
    {"objective.cross_weight": 4.0},
  ),
  "slow": Named(
    "mixed; converters learn a fifth as fast as the student",
    {"distill.converter_rate": 0.2},
  ),
  "unclipped": Named(
    "mixed; gradients are not clipped", {"distill.clip_norm": 0.0}
  ),
  "linear": Named(
    "mixed; converters are linear maps", {"model.converter": "auto"}
  ),
  "own_averages": Named(
    "mixed; running averages are those of the student's own pass",
    {"objective.stats_rule": "student"},
  ),
}
DEFAULT = "mixed"
