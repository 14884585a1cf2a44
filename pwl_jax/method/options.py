"""The constants and choices of the objective, checked where they are made."""

import dataclasses

from pwl_jax.method.checks import check_choice, check_range
from pwl_jax.method.losses import check_temperature
from pwl_jax.method.sampling import Sampler, get_sampler

CROSS_MODES = ("random", "all")
STATS_RULES = ("both", "sequence", "student")


@dataclasses.dataclass(frozen=True)
class Options:
  """The constants of the objective; the defaults are the paper's.

  A weight that is a plain 0 spares the work of its term.
  """

  alpha: float = 0.4  # Share of the hard loss; the soft loss has the rest.
  temperature: float = 2.0  # tau of every KL term.
  # What every KL term says of the classes beside the label weighs so much,
  # however sure of the label the teacher is; 0 leaves it to the KL.
  others_weight: float = 0.0
  feature_weight: float = 1.0
  reconstruction_weight: float = 1.0
  cross_weight: float = 2.0
  # "random": every example its own composition. "all": the teacher up to each
  # boundary in turn and the student behind it.
  cross_mode: str = "random"
  # Share of the hard loss in the "random" cross loss; the paper has none.
  cross_alpha: float = 0.0
  sampler: str | Sampler = "paper"  # Of the random compositions.
  composition: str | None = None  # For the whole batch, in place of random.
  # The student's running averages become those of its own pass ("student"), per
  # unit the mean over all passes that it ran in ("both"), or what they are
  # after its own pass and then the random one ("sequence", as the authors do).
  stats_rule: str = "both"

  def __post_init__(self):
    for name in ("alpha", "cross_alpha"):
      alpha = getattr(self, name)
      if isinstance(alpha, int | float) and not 0 <= alpha <= 1:
        raise ValueError(
          f"{name} shares out hard and soft loss, so it lies in [0, 1]; got "
          f"{alpha}"
        )
    check_temperature(self.temperature)
    for name, weight in vars(self).items():
      if name.endswith("_weight") and isinstance(weight, int | float):
        check_range(name, weight, 0)
    check_choice("cross_mode", self.cross_mode, CROSS_MODES)
    check_choice("stats_rule", self.stats_rule, STATS_RULES)
    get_sampler(self.sampler)
    if self.cross_mode == "all" and self.stats_rule == "sequence":
      raise ValueError(
        'stats_rule "sequence" is of a random pass behind the student\'s own; '
        'with cross_mode "all" use "both" or "student"'
      )
    if self.composition is not None and self.cross_mode != "random":
      raise ValueError(
        f"composition {self.composition!r} takes the place of random ones; "
        f"with cross_mode {self.cross_mode!r} leave it out"
      )
