"""Large pages of memory, which a step on a CPU is up to a third faster with.

XLA's CPU backend asks the system for all memory of a step anew, and hundreds of
thousands of small pages take their time. Where the system has large pages for
those who ask, the C library asks if this variable is set as the process starts.
"""

import os
import pathlib
import platform
import sys

VARIABLE = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"
SETTING = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_large_pages(setting: pathlib.Path = SETTING):
  """Starts this program again with the variable, if it makes a difference."""
  tunables = os.environ.get(VARIABLE, "")
  if TUNABLE in tunables or not for_those_who_ask(setting):
    return
  os.environ[VARIABLE] = ":".join(filter(None, [tunables, f"{TUNABLE}=1"]))
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def for_those_who_ask(setting: pathlib.Path) -> bool:
  try:
    asked = "[madvise]" in setting.read_text()
  except OSError:
    return False  # Not Linux, or a kernel without them.
  return asked and platform.libc_ver()[0] == "glibc"
