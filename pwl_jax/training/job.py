"""What a job is: something to train, apart from where and on what."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Job:
  """What is trained. Variables are keyed network -> unit -> collection."""

  name: str
  loss_at: Callable[[int], Callable]  # step -> loss, the same object if equal
  init: Callable[[jax.Array, jax.Array, Any], dict]  # -> first variables
  frozen: dict[str, Any]  # Variables that are not trained.
  logits: Callable[[dict, jax.Array], jax.Array]  # all variables, inputs
  start: Any = None  # What `init` gets beside a key and some inputs.
  trainable: Callable[[dict], Any] | None = None  # params -> tree of booleans
  keeps_zeros: tuple[str, ...] = ()  # Networks whose zero weights stay zero.
  pairs: bool = False  # Whether a device needs an even number of examples.
  check_rows: Callable[[int], Any] = lambda rows: None  # Of one device.
