"""A program starts again, once, where large pages are for those who ask."""

import os
import subprocess
import sys

import pytest

from pwl_jax.training import large_pages

PROGRAM = """
import os, pathlib, sys
from pwl_jax.training.large_pages import restart_with_large_pages
restart_with_large_pages(pathlib.Path(sys.argv[1]))
print(os.environ.get("GLIBC_TUNABLES"), *sys.argv[2:])
"""


def run(setting, **environ) -> str:
  plain = {k: v for k, v in os.environ.items() if k != large_pages.VARIABLE}
  command = [sys.executable, "-c", PROGRAM, str(setting), "an argument"]
  return subprocess.run(
    command, env=plain | environ, capture_output=True, text=True, check=True
  ).stdout.strip()


@pytest.fixture
def asked(tmp_path):
  path = tmp_path / "enabled"
  path.write_text("always [madvise] never\n")
  return path


@pytest.mark.skipif(
  not sys.platform.startswith("linux"), reason="large pages are of Linux"
)
@pytest.mark.parametrize(
  "before, after",
  [
    ({}, "glibc.malloc.hugetlb=1"),
    (
      {"GLIBC_TUNABLES": "glibc.malloc.check=0"},
      "glibc.malloc.check=0:glibc.malloc.hugetlb=1",
    ),
    (
      {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"},
      "glibc.malloc.hugetlb=0",
    ),
  ],
)
def test_it_starts_again_with_its_arguments_unless_told(asked, before, after):
  assert run(asked, **before) == f"{after} an argument"


@pytest.mark.parametrize("text", ["[always] madvise never", None])
def test_nothing_happens_where_it_makes_no_difference(tmp_path, text):
  setting = tmp_path / "enabled"
  if text:
    setting.write_text(text)
  assert run(setting) == "None an argument"
