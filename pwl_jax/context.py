"""What the stages of a run share: plain values, read from a config."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from pwl_jax.evaluation.examine import Options
from pwl_jax.existing import Start
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.recipe import Recipe
from pwl_jax.training.session import Session


@dataclasses.dataclass(frozen=True)
class Context:
  """Of one run."""

  workdir: pathlib.Path
  session: Session
  swapnet: SwapNet
  starts: Mapping[str, Start]  # What teacher and student begin with.
  trains: str  # What of a teacher that exists is trained.
  recipes: Mapping[str, Recipe]  # By their sections in the config.
  objective: Mapping[str, Any]  # Its options.
  cross: str
  fit_converters: bool
  student_precisions: tuple[str, ...]  # That its units are distilled in.
  evaluation: Options
  memory_budget: int  # Bytes; 0 for none.
  export_format: str
  export_platforms: tuple[str, ...]
  export_precisions: tuple[str, str]  # Of student and teacher.
  export_fit_examples: int  # To choose scales on; 0 for none.
  export_directory: str  # "" for the workdir's own.
  compared_precisions: str  # With commas between them.
  fields: Mapping[str, Any]  # Of the config, by dotted names; and of the data.
