"""What the complete stages answer on the test split."""

from collections.abc import Mapping
from typing import Any

from pwl_jax.method import composition
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.training.accuracy import make_evaluator
from pwl_jax.training.session import Session


def measure_on_test(
  session: Session, swapnet: SwapNet, made: Mapping[str, Any]
) -> list[tuple[str, dict[str, float]]]:
  """A row for every network, and for every rung of loading a swap network.

  `made` has the variables of complete stages, by their names.
  """
  batches = session.evaluation(session.data.dataset.test)
  n = swapnet.num_units

  def measure(variables, word):
    evaluate = make_evaluator(
      lambda v, x: swapnet.logits(v, session.data.normalise(x), word), batches
    )
    return evaluate(variables)

  rows = []
  for stage, variables in made.items():
    if stage == "distill" and "teacher" in made:
      whole = variables | made["teacher"]
      rows += [
        (f"swap network {word}", measure(whole, word))
        for word in composition.prefix(n)
      ]
    else:
      is_teacher = "teacher" in variables
      word = (composition.TEACHER if is_teacher else composition.STUDENT) * n
      rows.append((stage, measure(variables, word)))
  return rows
