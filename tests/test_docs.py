"""The code in the documents runs, block after block, as a reader would."""

import pathlib
import re

import pytest

from pwl_jax.method.network import Network
from pwl_jax.method.variables import count_parameters

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITHOUT_CODE = {"data.md", "method.md", "results.md", "training.md"}


def python_blocks(text: str) -> list[str]:
  return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_code_runs(path, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  blocks = python_blocks(path.read_text())
  assert bool(blocks) == (path.name not in WITHOUT_CODE)
  namespace = {"__name__": path.stem}
  for block in blocks:
    exec(compile(block, str(path), "exec"), namespace)
  if path.name == "extending.md":
    check_preset(namespace)


def check_preset(namespace):
  """The sizes that the page states are those of its networks."""
  preset = namespace["signals_preset"]
  for role in ("teacher", "student"):
    size = getattr(preset, role)
    units = preset.build(**size.options, num_classes=preset.num_classes)
    network = Network(units, preset.input_shape)
    assert count_parameters(network.abstract_variables()) == size.parameters


def anchors(path: pathlib.Path) -> set[str]:
  """What a link can end with: the headings, as web pages of them write it."""
  headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
  plain = (re.sub(r"[^\w -]", "", heading.lower()) for heading in headings)
  return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
  for target in re.findall(r"\]\(([^)]+)", path.read_text()):
    if "://" in target:
      continue
    file, _, anchor = target.partition("#")
    found = path.parent / file if file else path
    assert found.exists(), target
    assert not anchor or anchor in anchors(found), target
