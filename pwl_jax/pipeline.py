"""The stages of a run, in their order, and which of them are left.

Those that train are in `trained.py`; what is made of their results in
`evaluated.py`, `exported.py` and `compared.py`. A stage writes into
`workdir/STAGE`; one that is complete is skipped, one that was interrupted goes
on from its latest checkpoint.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from pwl_jax import compared, evaluated, exported, overview, trained
from pwl_jax.context import Context
from pwl_jax.method.checks import check_choice


class Stage(NamedTuple):
  """What can be asked of every stage, by (context, its name)."""

  is_done: Callable[[Context, str], bool]
  # Raises where it cannot run, the third being the stages that run before.
  check: Callable[[Context, str, Collection[str]], None]
  # Raises where what is there belongs to another config.
  check_owner: Callable[[Context, str], None]
  plan: Callable[[Context, str], str]  # In words.
  run: Callable[[Context, str], None]
  derived: bool = False  # Made of what the stages before it made.


STAGES = {
  **dict.fromkeys(
    trained.TRAININGS,
    Stage(
      trained.is_done,
      trained.check,
      trained.check_owner,
      trained.plan,
      trained.run,
    ),
  ),
  evaluated.NAME: Stage(
    evaluated.is_current,
    evaluated.check,
    evaluated.check_owner,
    evaluated.plan,
    evaluated.run,
    derived=True,
  ),
  exported.NAME: Stage(
    exported.is_current,
    exported.check,
    exported.check_owner,
    exported.plan,
    exported.run,
    derived=True,
  ),
  compared.NAME: Stage(
    compared.is_current,
    compared.check,
    compared.check_owner,
    compared.plan,
    compared.run,
    derived=True,
  ),
}
_READ_BY = [training.reads for training in trained.TRAININGS.values()]
READ = tuple(
  itertools.chain(*_READ_BY, evaluated.READS, exported.READS, compared.READS)
)


def stages_left(names: Sequence[str], context: Context) -> list[str]:
  """Those to run, once it is sure that no config error stops one of them."""
  for name in names:
    check_choice("stage", name, STAGES)
  if len(set(names)) < len(names):
    raise ValueError(f"config.stages names one twice: {','.join(names)}")
  left = []
  for name in names:
    changes = STAGES[name].derived and left
    if changes or not STAGES[name].is_done(context, name):
      STAGES[name].check(context, name, left)
      left.append(name)
  for name in names:
    STAGES[name].check_owner(context, name)
  return left


def run_stage(name: str, context: Context):
  STAGES[name].run(context, name)


def show_plan(context: Context, names: Sequence[str], left: Sequence[str]):
  plans = {
    name: STAGES[name].plan(context, name) if name in left else "complete"
    for name in names
  }
  context.session.console.print(
    overview.of_run(
      context.swapnet,
      context.session.data.dataset,
      context.session.machine.devices,
      context.workdir,
      plans,
    )
  )


def show_results(context: Context):
  console = context.session.console
  there = trained.current(context)
  missing = [name for name in trained.TRAININGS if name not in there]
  is_evaluated = evaluated.is_current(context, evaluated.NAME)
  if is_evaluated:
    evaluated.show(context)
  if missing or not is_evaluated:
    missing.append(evaluated.NAME)  # Whatever is new, it measures.
  bundle = None
  if exported.is_current(context, exported.NAME):
    bundle = exported.place(context)
  console.print(
    overview.of_next_steps(context.workdir, missing, bundle), soft_wrap=True
  )
