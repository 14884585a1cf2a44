"""The code in the documents runs, block after block, as a reader would."""

import pathlib
import re

import numpy as np
import pytest

from pwl_jax import models
from pwl_jax.bundle.inputs import ImageInput, SoundInput, TextInput
from pwl_jax.bundle.parts import Manifest
from pwl_jax.data.tokens import train_tokenizer
from pwl_jax.method.network import Network
from pwl_jax.method.swapnet import SwapNet
from pwl_jax.method.variables import count_parameters
from pwl_jax.training.recipe import Recipe
from tests.cases import Case
from tests.test_text_bundle import write

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITHOUT_CODE = {"method.md", "results.md", "training.md"}
PIXELS = ImageInput((16, 16, 3), (0.5,) * 3, (0.25,) * 3, "exact")


def python_blocks(text: str) -> list[str]:
  return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
  """A folder with what the blocks read."""
  folder = tmp_path_factory.mktemp("clone")
  (folder / "tests").symlink_to(ROOT / "tests")
  tokenizer = train_tokenizer(["a fine film"] * 3, vocab_size=50)
  for run, preset, input in (
    ("digits", "tiny_vgg", PIXELS),
    ("text", "tiny_text", TextInput(12, tokenizer)),
    ("audio", "tiny_audio", SoundInput(2000, 8000)),
  ):
    case = Case(SwapNet.create(*models.create_pair(preset)))
    write(folder / "runs" / run / "bundle", case, input)
  return folder


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_code_runs(path, clone, monkeypatch, capsys):
  monkeypatch.chdir(clone)
  blocks = python_blocks(path.read_text())
  assert bool(blocks) == (path.name not in WITHOUT_CODE)
  namespace = {
    "__name__": path.stem,
    "images": np.zeros((2, *PIXELS.image), np.uint8),
    "samples": np.zeros(2000, np.int16),
  }
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


def rows_of(path: pathlib.Path, header: str) -> list[tuple[list[str], str]]:
  """Of the table with this header: the names in a row, and its next cell."""
  rows = path.read_text().partition(header)[2].partition("\n\n")[0]
  return [
    (re.findall(r"`(\w+)`", names), told)
    for names, told in re.findall(r"^\| (`.+?) \| (.+?) \|", rows, re.MULTILINE)
  ]


def test_the_sections_of_a_training_are_told_with_their_defaults():
  rows = rows_of(ROOT / "docs" / "training.md", "| field | default |")
  told = {}
  for names, defaults in rows:
    told |= zip(names, defaults.split(", "), strict=True)
  assert list(told) == list(Recipe._fields)
  for name, default in Recipe()._asdict().items():
    text = told[name].strip('`"')
    assert type(default)(text) == default, name


def test_every_field_of_a_manifest_is_told():
  rows = rows_of(ROOT / "docs" / "bundle_format.md", "| field | what it is |")
  told = [name for names, _ in rows for name in names]
  assert sorted(told) == sorted([*Manifest._fields, "format", "sha256"])


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
