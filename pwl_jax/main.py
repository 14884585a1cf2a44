"""Runs the pipeline a config asks for.

  python -m pwl_jax.main --config=configs/digits.py --workdir=runs/digits

Fields are changed on the command line, --config.distill.epochs=10, and stages
chosen, --config.stages=distill. The same command continues an interrupted run,
which has the exit code 75.
"""

import os
import sys
import traceback

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from pwl_jax.training import distributed
from pwl_jax.training.large_pages import restart_with_large_pages

CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file, such as configs/digits.py", lock_config=True
)
WORKDIR = flags.DEFINE_string(
  "workdir", None, "Where everything is written, and continued from"
)
DISTRIBUTED = flags.DEFINE_enum(
  "distributed",
  "auto",
  distributed.MODES,
  "Whether this is one of several processes; auto asks the environment",
)
COORDINATOR = flags.DEFINE_string(
  "coordinator_address", None, "HOST:PORT of process 0, if started by hand"
)
PROCESSES = flags.DEFINE_integer("num_processes", None, "If started by hand")
PROCESS = flags.DEFINE_integer("process_id", None, "From 0, if by hand")

# XLA's CPU backend of these versions makes NaN of some bfloat16 networks.
FAULTY = ("0.11", "0.12")
WITHOUT_FAULT = "--xla_cpu_experimental_ynn_fusion_type="


def main(argv: list[str]):
  if len(argv) > 1:
    raise app.UsageError(f"unexpected arguments {argv[1:]}")
  # Not on top: each process that decodes a stream imports this module again.
  from pwl_jax import stages
  from pwl_jax.training.interruption import EXIT_CODE, Interrupted
  from pwl_jax.training.loop import Diverged

  config = load_config()
  if config.model.dtype == "bfloat16" and jax.__version__.startswith(FAULTY):
    flags_now = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags_now} {WITHOUT_FAULT}"
  try:
    distributed.start(
      DISTRIBUTED.value,
      coordinator_address=COORDINATOR.value,
      num_processes=PROCESSES.value,
      process_id=PROCESS.value,
    )
    stages.run(config, WORKDIR.value)
  except Interrupted as error:
    print(f"stopped by {error}; the same command continues", file=sys.stderr)
    sys.exit(EXIT_CODE)
  except KeyboardInterrupt:
    sys.exit(130)
  except (ValueError, OSError, Diverged, jax.errors.JaxRuntimeError) as error:
    fail(error)


def fail(error: Exception):
  """One line for what a user can mend, and an end that holds nobody up."""
  if logging.level_debug():
    traceback.print_exc()
  print(f"error: {error}", file=sys.stderr, flush=True)
  if isinstance(error, jax.errors.JaxRuntimeError):
    print(
      "the same command goes on from the latest checkpoint; of several "
      "processes, another one may say more",
      file=sys.stderr,
      flush=True,
    )
  if jax.distributed.is_initialized():
    # jax would wait here for the others, who may wait for this process.
    sys.stdout.flush()
    os._exit(1)
  sys.exit(1)


def parse_flags(argv: list[str]) -> list[str]:
  """A field that the config does not have is one line, not a traceback."""
  logging.set_verbosity(logging.ERROR)  # Of libraries; a flag can raise it.
  try:
    return app.parse_flags_with_usage(argv)
  except (KeyError, AttributeError) as error:
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    if "ml_collections" not in where:
      raise  # A mistake inside of the config file.
    sys.exit(f"error: the config has no such field: {in_short(error)}")


def in_short(error: Exception) -> str:
  """ml_collections wraps one error in another, and lists all other fields."""
  while error.args and isinstance(error.args[0], Exception):
    error = error.args[0]
  first, *others = str(error.args[0]).splitlines()
  return " ".join([first.partition(" does not exist")[0], *others[-1:]])


def load_config():
  """The config; a file that is not there shows when it is first read."""
  try:
    CONFIG.value.to_dict()
  except OSError as error:
    sys.exit(f"error: no config: {str(error).splitlines()[-1].strip()}")
  return CONFIG.value


if __name__ == "__main__":
  restart_with_large_pages()
  flags.mark_flags_as_required(["config", "workdir"])
  app.run(main, flags_parser=parse_flags)
