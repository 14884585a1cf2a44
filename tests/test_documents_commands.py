"""Every command that a document or a docstring names is tried.

A command is run as it is written, by the function that the real one calls, in
a folder that looks like a clone: `runs/digits` is a finished run there, and
`models/` has what docs/from_pytorch.md brings. What takes long is shrunk:

- a run of the digits trains tiny networks for a few steps
- other configs are read, built and checked with their real networks, on data
  of the same form that stand in for sets which are not there, and not trained:
  test_configs.py has two steps of each
- of benchmarks and examples the flags are parsed: test_benchmarks.py and
  test_examples.py run them
- scripts for clusters are asked what they would do; nothing is installed

A command that is not known here fails: tell `PROGRAMS` how it is tried.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import jax
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy
from absl import flags
from packaging.requirements import Requirement
from report_runs import make_run
from rich.console import Console

from examples import http_server
from pwl_jax import main, models, stages
from pwl_jax.config import default_config
from pwl_jax.data import prepare
from pwl_jax.interop import load_network
from pwl_jax.pipeline import stages_left
from pwl_jax.play import alone
from pwl_jax.training.interruption import Request
from tests import documented, toy_sets
from tests.checkpoints import FIXTURES, change_config
from tests.test_configs import write_sounds, write_texts

ROOT = documented.ROOT
COMMANDS = documented.commands()
# Which is how ml_collections loads the file of a config.
pytestmark = pytest.mark.filterwarnings(
  "ignore:.*load_module:DeprecationWarning"
)
TINY = {
  "data.name": "synthetic:60x8x8x1/10",
  "model.preset": "tiny_vgg",
  "evaluation.calibration_images": 16,
  "precisions": "float32,int8",
  "export.platforms": ("cpu",),
}
SEVERAL = re.compile(r"^RUN( RUN)? (…|\.\.\.)$")


@pytest.fixture(scope="module")
def module_patch():
  with pytest.MonkeyPatch.context() as patch:
    yield patch


@pytest.fixture(scope="module", autouse=True)
def clone(tmp_path_factory, module_patch):
  """A folder like that of the repository, where commands are given."""
  folder = tmp_path_factory.mktemp("clone")
  for name in ("configs", "launch"):
    (folder / name).symlink_to(ROOT / name)
  one = jax.devices()[:1]  # Compiling for several takes several times as long.
  module_patch.setattr(jax, "devices", lambda: one)
  module_patch.setattr(stages, "run", run_shrunken)
  module_patch.setenv("PWL_JAX_CACHE", str(folder / "programs"))
  module_patch.chdir(folder)
  write_stand_ins(folder)
  for seed in (0, 1):
    make_run(folder / "runs" / f"digits-{seed}", seed=seed)
  run_main(
    ["--config=configs/digits.py", "--workdir=runs/digits"], module_patch
  )
  return folder


# What stands in for data and weights that are not there.


def write_stand_ins(folder):
  images = {
    split: toy_sets.drawn(30, seed, shape=(32, 32, 3))
    for seed, split in enumerate(("train", "test"))
  }
  toy_sets.write_set(folder / "DIR", images, shape=(32, 32, 3))
  write_texts(folder / "texts.npz", 60)
  write_sounds(folder / "sounds.npz", 60)
  there = folder / "models"
  shutil.copytree(FIXTURES / "reference" / "lenet5", there / "authors")
  shutil.copy(
    FIXTURES / "torchvision/timm_resnet_bottleneck/model.safetensors",
    there / "resnet50.safetensors",
  )
  write_vit(there / "vit")
  write_bert(there / "bert")


def write_vit(folder):
  """For images of 224 pixels, in 6 layers as the fixture."""
  shutil.copytree(FIXTURES / "huggingface" / "vit", folder)
  change_config(folder, image_size=224, patch_size=16)

  def change(tensors):
    for name, shape in (
      ("patch_embeddings.projection.weight", (48, 3, 16, 16)),
      ("position_embeddings", (1, 197, 48)),
    ):
      name = f"vit.embeddings.{name}"
      tensors[name] = np.resize(tensors[name], shape)

  change_tensors(folder, change)


def write_bert(folder):
  """For 128 tokens, in 6 layers instead of the fixture's 4."""
  shutil.copytree(FIXTURES / "huggingface" / "bert", folder)
  change_config(folder, max_position_embeddings=128, num_hidden_layers=6)

  def change(tensors):
    name = "bert.embeddings.position_embeddings.weight"
    tensors[name] = np.resize(tensors[name], (128, 32))
    for name in [n for n in tensors if re.search(r"layer\.[01]\.", n)]:
      later = re.sub(r"layer\.(\d)", lambda m: f"layer.{int(m[1]) + 4}", name)
      tensors[later] = tensors[name]

  change_tensors(folder, change)
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fine", "film"]
  (folder / "vocab.txt").write_text("\n".join(words))


def change_tensors(folder, change):
  path = folder / "model.safetensors"
  tensors = safetensors.numpy.load_file(path)
  change(tensors)
  safetensors.numpy.save_file(tensors, path)


def stand_in(config):
  """Data of the form of a set that is not there."""
  name = config.data.name
  if name in ("tfds:glue/sst2", "tfds:spoken_digit:1.0.9"):
    return "arrays:texts.npz" if "glue" in name else "arrays:sounds.npz"
  if config.data.stream == "yes":
    return "tfds:toy:1.0.0"
  classes = 3
  if config.imported.trains == "nothing":
    network, _ = load_network(config.imported.path)
    classes = network.num_classes
  side = {"tfds:imagenet2012": 224, "tfds:cifar10": 32}[name]
  return f"synthetic:20x{side}x{side}x3/{classes}"


# How every program is tried: by a function of its arguments.


def run_shrunken(config, workdir, run=stages.run):
  """Trains the digits for a few steps; of others, checks all there is."""
  with config.unlocked():
    if config.model.preset == "digits_resnet":
      config.update_from_flattened_dict(TINY)
    elif config.data.name.startswith("tfds:"):
      config.data.update(name=stand_in(config), valid_share=0.2)
      if config.data.stream != "yes":
        config.data.image_size = 0
    for section in ("teacher", "student", "distill"):
      config[section].update(epochs=1, batch_size=16, warmup_epochs=0.0)
  if config.model.preset == TINY["model.preset"]:
    return run(config, workdir)
  console = Console(quiet=True)
  workdir = pathlib.Path(workdir)
  context = stages.make_context(config, workdir, console, Request())
  names = config.stages.split(",")
  assert stages_left(names, context) == names
  return None


def run_main(arguments, patch):
  """The real flags; those that name a field are made anew for each command."""
  for name in [n for n in flags.FLAGS if n.startswith("config.")]:
    delattr(flags.FLAGS, name)
  flags.FLAGS.unparse_flags()
  argv = ["main.py", *arguments]
  patch.setattr(sys, "argv", argv)  # Where the fields are looked for.
  main.main(main.parse_flags(argv))


def main_of(name):
  """The function that `python -m name` calls."""
  spec = importlib.util.find_spec(name)
  assert spec, f"there is no module {name}"
  if spec.submodule_search_locations:
    name = f"{name}.__main__"
  return importlib.import_module(name).main


def of_module(name, *more):
  """run(arguments): its main, with more flags behind."""

  def run(arguments, patch):
    assert main_of(name)([*arguments, *more]) in (None, 0)

  return run


class Parsed(Exception):
  """So far and no further."""


def parse_flags(name):
  """run(arguments): up to where its flags are known to be good."""

  def run(arguments, patch):
    if arguments == ["--help"]:
      with pytest.raises(SystemExit, match="0"):
        main_of(name)(arguments)
      return
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, *given):
      parse(parser, *given)
      raise Parsed

    patch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Parsed):
      main_of(name)(arguments)

  return run


def run_play(arguments, patch):
  patch.setattr(alone, "rehearse", lambda *given, **options: None)
  patch.setattr(alone, "measure", lambda *given, **options: 1.0)
  of_module("pwl_jax.play", "--seconds=0")(arguments, patch)


def run_prepare(arguments, patch):
  asked = []
  patch.setattr(prepare, "prepare", lambda *given: asked.append(given) or "x")
  prepare.main(arguments)
  assert asked == [(arguments[0], "DIR")]


def run_models(arguments, patch):
  few = {name: models.PRESETS[name] for name in ("tiny_vit", "tiny_text")}
  patch.setattr(models, "PRESETS", few)
  names = ["tiny_vit"] if arguments else []
  main_of("pwl_jax.models")(names)


def run_report(arguments, patch):
  if SEVERAL.match(" ".join(arguments)):
    arguments = ["runs/digits-*"]
  given = [
    str(path)
    for argument in arguments
    for path in sorted(pathlib.Path().glob(argument)) or [argument]
  ]
  of_module("pwl_jax.report")(given, patch)


def run_own_networks(arguments, patch):
  """Up to the bundle: they are not trained here."""
  patch.setitem(models.PRESETS, "own", None)  # Gone in the end.
  with pytest.raises(FileNotFoundError, match="own_networks/bundle"):
    main_of("examples.own_networks")(*arguments)


MODULES = {
  "pwl_jax.main": run_main,
  "pwl_jax.play": run_play,
  "pwl_jax.report": run_report,
  "pwl_jax.models": run_models,
  "pwl_jax.data.prepare": run_prepare,
  "pwl_jax.export": of_module("pwl_jax.export"),
  "pwl_jax.bundle": of_module("pwl_jax.bundle"),
  "examples.own_networks": run_own_networks,
  "examples.own_loop": parse_flags("examples.own_loop"),
  "examples.http_server": parse_flags("examples.http_server"),
}


def run_python(words, settings, patch):
  if words[0] == "-m":
    name, *arguments = words[1:]
    path = ROOT / f"{name.replace('.', '/')}.py"
  else:
    path, *arguments = words
    path, name = ROOT / path, path.removesuffix(".py").replace("/", ".")
  if name.startswith("benchmarks.peers."):  # They need torch to be imported.
    source = path.read_text()
    for word in arguments:
      assert not word.startswith("--") or f'"{word.split("=")[0]}"' in source
  elif name.startswith("benchmarks"):
    if name.endswith(".NAME"):  # Any of them.
      name, arguments = name.replace("NAME", "reads"), ["--help"]
    parse_flags(name)(arguments, patch)
  elif arguments or name not in ("pwl_jax.main", "pwl_jax.play"):
    MODULES[name](arguments, patch)  # Else it is only mentioned.


def run_make(words, settings, patch):
  """What it would do, which for the demo is a command of its own."""
  done = subprocess.run(
    ["make", "--dry-run", *words],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  found = re.search(r"python (-m pwl_jax.+)", done.stdout.replace("\\\n", ""))
  if found:
    run_python(found[1].split(), {}, patch)


def run_pip(words, settings, patch):
  """What it names is there to be asked for; nothing is installed."""
  command, *given = words
  assert command == "install" and given
  if given[0] == "-r":
    assert (ROOT / given[1]).exists()
    return
  for name in given:
    if name == "--no-deps":
      continue
    if name == ".":
      assert (ROOT / "pyproject.toml").exists()
      continue
    wanted = Requirement(name)
    if wanted.extras:
      known = importlib.metadata.metadata(wanted.name)
      assert wanted.extras <= {*known.get_all("Provides-Extra")}


def run_script(words, settings, patch):
  """A script for clusters says what it would do, with these settings."""
  script = next(word for word in words if word.startswith("launch/"))
  behind = words[words.index(script) + 1 :]
  if settings.get("SHARED"):  # Else it looks where this clone comes from.
    settings = settings | {"REPO": "https://host/pwl.git", "REF": "v1"}
  done = subprocess.run(
    ["bash", script, "--dry-run", *behind],
    env={"PATH": os.environ["PATH"], "HOME": "."} | settings,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert settings["CONFIG"] in done.stdout
  assert all(word in done.stdout for word in behind if word != "--")
  # And the run that it starts is one that there is.
  given = [f"--config={settings['CONFIG']}", *behind[1:]]
  folder = settings["WORKDIR"].lstrip("/")
  run_main([*given, f"--workdir={folder}"], patch)


def run_suite(words, settings, patch):
  """The script for GPUs prints what it would do."""
  script, *given = words
  done = subprocess.run(
    ["bash", ROOT / script, "--dry-run", *given],
    env={"PATH": os.environ["PATH"], "PYTHON": sys.executable} | settings,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert "benchmarks" in done.stdout


def run_curl(words, settings, patch):
  """Asked by Python, of a server of the digits."""
  parser = argparse.ArgumentParser()
  parser.add_argument("url")
  parser.add_argument("--header")
  parser.add_argument("--data", "--data-binary")
  asked = parser.parse_args(words)
  image = np.zeros((8, 8), np.uint8)
  PIL.Image.fromarray(image).save("digit.png")
  body = asked.data and asked.data.encode()
  if asked.data and asked.data.startswith("@"):
    body = pathlib.Path(asked.data[1:]).read_bytes()
  with http_server.serving("runs/digits/bundle", port=0) as server:
    port = server.server_address[1]
    url = asked.url.replace(":8000/", f":{port}/")
    header = dict([asked.header.split(": ")]) if asked.header else {}
    request = urllib.request.Request(url, body, header)
    try:
      with urllib.request.urlopen(request) as answer:
        assert json.loads(answer.read())["composition"]
    except urllib.error.HTTPError as error:
      # Texts, which this bundle does not take; it says so.
      assert error.code == 400 and "fine film" in asked.data
      error.close()


PROGRAMS = {
  "python": run_python,
  "make": run_make,
  "pip": run_pip,
  "curl": run_curl,
  "sbatch": run_script,
  "bash": run_suite,
}


@pytest.mark.parametrize(
  "command", COMMANDS, ids=[command[:70] for command in COMMANDS]
)
def test_a_command_does_what_it_says(command, monkeypatch, capsys):
  settings, (program, *words) = documented.read(command)
  if program.startswith("launch/"):
    program, words = "sbatch", [program, *words]
  elif program.startswith("benchmarks/"):
    program, words = "bash", [program, *words]
  if program not in PROGRAMS:
    pytest.fail(f"{COMMANDS[command]} names a command that is not tried here")
  PROGRAMS[program](words, settings, monkeypatch)


def test_runs_of_two_configs_have_two_workdirs():
  """Who tries one after the other is not refused."""
  configs = {}
  for command in COMMANDS:
    config = re.search(r"(?:--config=|CONFIG=)(\S+)", command)
    workdir = re.search(r"(?:--workdir=|WORKDIR=)(\S+)", command)
    if config and workdir:
      configs.setdefault(workdir[1], set()).add(config[1])
  assert all(len(known) == 1 for known in configs.values()), configs


def test_every_field_that_is_named_as_a_flag_exists():
  known = default_config()
  for name in documented.fields():
    section = known
    for part in name.split("."):
      assert part in section, name
      section = section[part]


def test_commands_are_found_where_they_stand():
  text = """
To do so, `python -m
package.module --flag` is enough; `make` is a word.

    A=1 B="two words" launch/script.sh -- --more   # why
    python -m a \\
      --b=c
    no command

```sh
pip install .
```

```python
make = 1
```
"""
  assert documented.in_line(text) == ["python -m package.module --flag"]
  assert documented.in_blocks(text, indent=4) == [
    "pip install .",
    'A=1 B="two words" launch/script.sh -- --more',
    "python -m a --b=c",
  ]
  settings, words = documented.read('A=1 B="two words" python -m a [--b]')
  assert settings == {"A": "1", "B": "two words"}
  assert words == ["python", "-m", "a", "--b"]
