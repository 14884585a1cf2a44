"""The walls of the house: which package may import which."""

import ast
import importlib.metadata
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = "pwl_jax"
TOP = ("main", "export", "stages", "config")
SERVING = ("runtime", "bundle")
TRAINING_ONLY = ("flax", "optax", "tensorflow_datasets", "ml_collections")
FORBIDDEN_EVERYWHERE = ("tensorflow", "torch", "clu", "pickle")
STANDARD = frozenset(sys.stdlib_module_names)


def imported(path: pathlib.Path, source: str) -> set[str]:
  """Every module a file imports anywhere, by its full name."""
  package = path.with_suffix("").parts[:-1]
  names = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else ()
      module = ".".join([*base, *filter(None, [node.module])])
      names |= {f"{module}.{alias.name}" for alias in node.names}
  return names


def part_of(module: str) -> str:
  """pwl_jax.method.swapnet -> method; what is not ours -> ""."""
  first, *rest = module.split(".")
  return rest[0] if first == PACKAGE and rest else ""


def breaches(path: pathlib.Path, source: str) -> list[str]:
  """What a file at `path`, relative to the root, imports against the rules."""
  names = imported(path, source)
  found = [f"{n}: nowhere" for n in names if root(n) in FORBIDDEN_EVERYWHERE]
  if path.parts[0] != PACKAGE:
    return found
  part = path.with_suffix("").parts[1]
  if part not in TOP:
    found += [f"{n}: only from outside" for n in names if part_of(n) in TOP]
  allowed = {
    "method": {"method"},
    "models": {"method", "models"},
    "report": {"method", "report", "whole"},
  }.get(part)
  if allowed:
    foreign = [n for n in names if root(n) == PACKAGE]
    found += [
      f"{n}: not in {part}" for n in foreign if part_of(n) not in allowed
    ]
  if part == "method":
    outside = {root(n) for n in names} - STANDARD - {"jax", "flax", PACKAGE}
    found += [f"{n}: not in method" for n in outside]
  if "ml_collections" in map(root, names) and part not in TOP:
    found.append("ml_collections: config objects stop at stages")
  return found


def root(module: str) -> str:
  return module.split(".")[0]


def sources(*folders):
  for folder in folders:
    for path in sorted((ROOT / folder).rglob("*.py")):
      yield path.relative_to(ROOT), path.read_text()


def closure(files: dict[str, set[str]], start: str) -> set[str]:
  """What importing a module of ours brings in, modules of others included."""
  reached, waiting = set(), [start]
  while waiting:
    name = waiting.pop()
    for known in (name, name.rpartition(".")[0]):  # A name in a module.
      if known in files and known not in reached:
        reached.add(known)
        # Importing a module runs the packages around it first.
        parents = known.split(".")
        waiting += [".".join(parents[:i]) for i in range(1, len(parents))]
        waiting += files[known]
    if root(name) != PACKAGE:
      reached.add(root(name))
  return reached


def our_modules() -> dict[str, set[str]]:
  modules = {}
  for path, source in sources(PACKAGE):
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    modules[name] = imported(path, source)
  # What it opens, it imports when it is asked to.
  return modules | {PACKAGE: set()}


def test_nobody_reaches_through_a_wall():
  found = {
    str(path): broken
    for path, source in sources(PACKAGE, "tests", "configs", "examples")
    if (broken := breaches(path, source))
  }
  assert found == {}


def serving_breaches(modules: dict[str, set[str]]) -> list[str]:
  """What the serving parts bring in that only training needs.

  Writing a bundle is training's work; all of `bundle` but `write` serves.
  """
  found = []
  for name in modules:
    if part_of(name) in SERVING and name != f"{PACKAGE}.bundle.write":
      reached = closure(modules, name)
      found += [
        f"{name} brings in {module}"
        for module in sorted(reached)
        if module in TRAINING_ONLY or part_of(module) == "models"
      ]
  return found


def test_a_report_is_made_without_jax():
  modules = our_modules()
  for name in modules:
    if part_of(name) == "report":
      assert not {"jax", "flax"} & closure(modules, name), name


def test_serving_needs_nothing_of_training():
  assert serving_breaches(our_modules()) == []


def test_the_wall_around_serving_holds_what_it_should():
  modules = {
    "pwl_jax": set(),
    "pwl_jax.runtime": set(),
    "pwl_jax.runtime.model": {"pwl_jax.bundle.read.open"},
    "pwl_jax.bundle": set(),
    "pwl_jax.bundle.read": {"jax", "numpy"},
    "pwl_jax.bundle.write": {"flax.linen"},
  }
  assert serving_breaches(modules) == []
  for bad in ("flax", "pwl_jax.models.vgg", "pwl_jax.method.network"):
    spoiled = modules | {
      "pwl_jax.bundle.read": {bad},
      "pwl_jax.models.vgg": set(),
      "pwl_jax.method.network": {"flax.linen"},
    }
    found = serving_breaches(spoiled)
    assert any("pwl_jax.runtime.model" in breach for breach in found), bad


@pytest.mark.parametrize(
  "path,source",
  [
    ("pwl_jax/method/a.py", "import numpy"),
    ("pwl_jax/method/a.py", "from pwl_jax.models import vgg"),
    ("pwl_jax/method/a.py", "from pwl_jax import models"),
    ("pwl_jax/method/a.py", "from ..models import vgg"),
    ("pwl_jax/method/a.py", "def f():\n  import optax"),
    ("pwl_jax/models/a.py", "from pwl_jax.training import loop"),
    ("pwl_jax/models/a.py", "import pwl_jax.interop.tensors"),
    ("pwl_jax/report/a.py", "from pwl_jax.training import trees"),
    ("pwl_jax/data/a.py", "from pwl_jax import stages"),
    ("pwl_jax/data/a.py", "import pwl_jax.main"),
    ("pwl_jax/data/a.py", "from ml_collections import ConfigDict"),
    ("pwl_jax/data/a.py", "import tensorflow as tf"),
    ("pwl_jax/data/a.py", "import pickle"),
    ("tests/a.py", "import torch"),
  ],
)
def test_the_wall_holds_what_it_should(path, source):
  assert breaches(pathlib.Path(path), source)


@pytest.mark.parametrize(
  "path,source",
  [
    ("pwl_jax/method/a.py", "import jax.numpy\nfrom flax import linen"),
    ("pwl_jax/method/a.py", "import math\nfrom pwl_jax.method import losses"),
    ("pwl_jax/models/a.py", "from pwl_jax.method.network import Network"),
    ("pwl_jax/main.py", "from pwl_jax import stages"),
    ("pwl_jax/stages.py", "import ml_collections"),
  ],
)
def test_the_wall_lets_through_what_it_should(path, source):
  assert not breaches(pathlib.Path(path), source)


def test_what_a_module_brings_in_is_followed():
  modules = {
    "pwl_jax": set(),
    "pwl_jax.a": {"pwl_jax.b.name"},
    "pwl_jax.b": {"flax.linen", "jax"},
  }
  assert closure(modules, "pwl_jax.a") >= {"pwl_jax", "pwl_jax.b", "flax"}


def test_requirements_name_all_that_the_code_imports():
  providers = importlib.metadata.packages_distributions()
  used = {
    provider.lower().replace("_", "-")
    for _, source in sources(PACKAGE, "configs")
    for name in map(root, imported(pathlib.Path("x.py"), source))
    if name not in STANDARD and name != PACKAGE
    for provider in providers[name]
  }
  lines = (ROOT / "requirements.txt").read_text().splitlines()
  named = {
    re.match(r"[\w-]+", line)[0].lower() for line in lines if line[:1] > "#"
  }
  assert used and used <= named
