"""Several processes as one run: their start, and decisions taken together.

With one process everything here is plain and immediate.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

MODES = ("auto", "on", "off")
# Any of these, with more than one process, tells of a cluster that
# `jax.distributed` knows how to ask.
COUNTS = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")
HOSTS = ("TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES")
ADDRESS = "JAX_COORDINATOR_ADDRESS"


def start(
  mode: str = "auto",
  *,
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
):
  """Joins the other processes; to be called before anything is computed.

  Args:
    mode: "on", "off", or "auto": on where a cluster is detected, or where
      the processes are described by the other arguments.
    coordinator_address: host:port of the first process.
    num_processes: of the run.
    process_id: of this one, from 0.
  """
  described = (coordinator_address, num_processes, process_id)
  if mode == "off" or (mode == "auto" and not (any(described) or detected())):
    return
  try:
    jax.distributed.initialize(*described)
  except (ValueError, RuntimeError) as error:
    raise ValueError(
      f"the processes of this run did not find each other: {error}. Outside "
      "of a cluster that jax knows, give each --coordinator_address=HOST:PORT "
      "--num_processes=K --process_id=I; to run alone, --distributed=off"
    ) from error


def detected() -> bool:
  """Whether the environment says that this is one process of several."""
  several = any(int(os.environ.get(name) or 1) > 1 for name in COUNTS)
  hosts = any("," in os.environ.get(name, "") for name in HOSTS)
  return several or hosts or ADDRESS in os.environ


def is_first() -> bool:
  """Whether this process is the one that writes and speaks."""
  return jax.process_index() == 0


def all_agree(verdict: bool) -> bool:
  """Whether every process found it true."""
  if jax.process_count() == 1:
    return verdict
  return bool(np.all(multihost_utils.process_allgather(np.asarray(verdict))))


@contextlib.contextmanager
def together() -> Iterator[None]:
  """What fails within in one process fails in all: none is left waiting."""
  try:
    yield
  except Exception:
    all_agree(False)
    raise
  if not all_agree(True):
    raise ValueError("another process cannot go on; its output says why")


def check_alike(what: str, text: str):
  """Raises where the processes of a run were given different things."""
  digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
  if jax.process_count() > 1:
    found = multihost_utils.process_allgather(digest)
    if (found != digest).any():
      raise ValueError(
        f"the processes of this run were given different {what}; give all of "
        "them the same"
      )


def wait_for_all(name: str):
  """Returns when every process has come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)
