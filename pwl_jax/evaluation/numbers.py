"""What was measured, as the plain numbers that are written down.

Their names are fixed by `report/results.py`, which reads and checks them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pwl_jax.evaluation.cost import Cost, Costs, size
from pwl_jax.evaluation.examine import SPLITS, Measured
from pwl_jax.evaluation.ladder import best_by_budget, judge
from pwl_jax.evaluation.scores import Score
from pwl_jax.method import composition as compositions
from pwl_jax.method.network import unit_name
from pwl_jax.method.swapnet import SwapNet, boundary_name
from pwl_jax.method.variables import count_parameters

Numbers = dict[str, Any]


def of_scores(scores: Mapping[str, Score]) -> Numbers:
  """Of something that was scored on every split."""
  return {
    split: {**score._asdict(), "interval": list(score.interval)}
    for split, score in scores.items()
  }


def of_network(
  swapnet: SwapNet, costs: Costs, letter: str, scores: Mapping[str, Score]
) -> Numbers:
  """Of teacher or student, alone."""
  variables = swapnet.abstract_variables()[compositions.ROLES[letter]]
  return {
    "parameters": count_parameters(variables),
    **costs.of(letter * swapnet.num_units)._asdict(),
    **of_scores(scores),
  }


def of_units(swapnet: SwapNet, costs: Costs) -> list[Numbers]:
  variables = swapnet.abstract_variables()

  def unit(i: int, letter: str) -> Numbers:
    role = compositions.ROLES[letter]
    return {
      "parameters": count_parameters(variables[role][unit_name(i)]),
      **costs.units[letter][i]._asdict(),
      "width": getattr(swapnet, role).shapes()[i][-1],
    }

  def converter(i: int) -> Numbers | None:
    """That behind unit i."""
    if i == swapnet.num_units - 1 or not swapnet.has_converter(i):
      return None
    found = variables["converters"][boundary_name(i)]
    return {"parameters": count_parameters(found), "bytes": size(found)}

  return [
    {
      **{role: unit(i, letter) for letter, role in compositions.ROLES.items()},
      "converter": converter(i),
    }
    for i in range(swapnet.num_units)
  ]


def of_compositions(costs: Costs, measured: Measured) -> dict[str, Numbers]:
  served = {split: measured.served(split) for split in SPLITS}

  def scores(of: Mapping[str, Mapping[str, Score]], word: str) -> Numbers:
    return of_scores({split: of[split][word] for split in SPLITS})

  return {
    word: {
      **_cost(costs, measured, word)._asdict(),
      "calibrated": (calibrated := word in measured.better["valid"]),
      **scores(served, word),
      "uncalibrated": scores(measured.own, word) if calibrated else None,
    }
    for word in measured.own["valid"]
  }


def _cost(costs: Costs, measured: Measured, word: str) -> Cost:
  """With batch statistics of its own, where it is calibrated."""
  if word not in measured.better["valid"]:
    return costs.of(word)
  nodes = measured.statistics
  own = sum(size(nodes[node]) for node in nodes if word.startswith(node))
  return costs.of(word) + Cost(own, 0)


def of_student(costs: Costs, word: str, scores: Mapping[str, Score]) -> Numbers:
  """The one composition that needs no teacher."""
  return {
    **costs.of(word)._asdict(),
    "calibrated": False,
    **of_scores(scores),
    "uncalibrated": None,
  }


def of_families(num_units: int, words: Mapping[str, Any]) -> dict[str, Any]:
  """Their members that were measured."""
  return {
    name: [w for w in compositions.family(name, num_units) if w in words]
    for name in compositions.FAMILIES
  }


def of_ladders(
  costs: Costs, measured: Measured, planned: Sequence[int]
) -> dict[str, Numbers]:
  """The planned order of loading, beside the two plain ones."""
  in_order = range(len(planned))
  orders = {
    "planned": planned,
    "prefix": in_order,
    "suffix": in_order[::-1],
  }
  return {name: _ladder(costs, measured, o) for name, o in orders.items()}


def _ladder(costs: Costs, measured: Measured, order: Sequence[int]) -> Numbers:
  unit_bytes = costs.teacher_bytes
  loaded = [0]
  for unit in order:
    loaded.append(loaded[-1] + unit_bytes[unit])

  def worth(split: str) -> Numbers:
    ladder = judge(order, measured.accuracy(split), unit_bytes)
    return {
      "worst_step": ladder.worst_step,
      "mean_accuracy": ladder.mean_accuracy,
    }

  return {
    "order": list(order),
    "rungs": compositions.ladder(order),
    "loaded_bytes": loaded,
    **{split: worth(split) for split in SPLITS},
  }


def of_budgets(costs: Costs, measured: Measured) -> list[Numbers]:
  """From how many bytes of memory on which composition is the best."""
  accuracy = measured.accuracy("valid")
  sizes = {word: _cost(costs, measured, word).bytes for word in accuracy}
  best = best_by_budget(accuracy, sizes)
  return [{"bytes": least, "composition": word} for least, word in best]


def of_budget(budgets: Sequence[Numbers], asked: int) -> Numbers | None:
  """The best one for so many bytes."""
  fitting = [found for found in budgets if found["bytes"] <= asked]
  if not fitting:
    return None
  return {"bytes": asked, "composition": fitting[-1]["composition"]}
