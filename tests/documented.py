"""The commands that documents and docstrings name, as a shell reads them."""

import ast
import pathlib
import re
import shlex
import textwrap
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[1]
PROGRAMS = (
  *("python", "python3", "make", "pip", "curl", "bash", "sh", "git", "docker"),
  *("sbatch", "srun", "gcloud", "kubectl", "tensorboard", "pytest", "ruff"),
)
SCRIPTS = ("launch/", "benchmarks/", "./")
SETTING = re.compile(r"[A-Z][A-Z_]*=")
INLINE = re.compile(
  r"`((?:[A-Z_]+=\S+\s)*"
  r"(?:(?:python -m|make|pip install)\s|(?:launch|benchmarks)/\S+\.sh)[^`]+)`"
)


def documents() -> list[pathlib.Path]:
  found = [ROOT / "README.md", ROOT / "launch" / "README.md"]
  return [*found, ROOT / "configs" / "README.md", *ROOT.glob("docs/*.md")]


def sources() -> Iterator[pathlib.Path]:
  for folder in ("pwl_jax", "configs", "examples", "benchmarks"):
    yield from sorted((ROOT / folder).rglob("*.py"))


def commands() -> dict[str, str]:
  """Command -> the first file that names it."""
  found = {}
  for path in documents():
    text = path.read_text()
    for command in (*in_blocks(text, indent=4), *in_line(text)):
      found.setdefault(command, str(path.relative_to(ROOT)))
  for path in sources():
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    for command in (*in_blocks(text, indent=2), *in_line(text)):
      found.setdefault(command, str(path.relative_to(ROOT)))
  return found


def in_blocks(text: str, *, indent: int) -> list[str]:
  """Of indented and of fenced lines; a backslash goes on in the next one."""
  fenced = re.findall(r"^```(?:sh|bash|)\n(.*?)^```", text, re.DOTALL | re.M)
  text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
  blocks = re.findall(rf"(?:^ {{{indent},}}\S.*\n?)+", text, re.MULTILINE)
  lines = []
  for block in (*fenced, *map(textwrap.dedent, blocks)):
    lines += re.sub(r"\\\n\s*", "", block).splitlines()
  return [line for line in map(without_comment, lines) if is_command(line)]


def in_line(text: str) -> list[str]:
  """Of `python -m ...` in a sentence, which may go over a line's end."""
  return [" ".join(found.split()) for found in INLINE.findall(text)]


def without_comment(line: str) -> str:
  return " ".join(re.sub(r"\s+#\s.*$", "", line).split())


def is_command(line: str) -> bool:
  try:
    words = shlex.split(line)
  except ValueError:  # A quote that is an apostrophe.
    return False
  while words and SETTING.match(words[0]):
    words = words[1:]
  return bool(words) and (words[0] in PROGRAMS or words[0].startswith(SCRIPTS))


def read(command: str) -> tuple[dict[str, str], list[str]]:
  """Settings in front of a command, and its words."""
  # Of what stands in [brackets] by itself, all is given.
  words = shlex.split(re.sub(r"(?<=\s)\[([^\]]*)\]", r"\1", command))
  settings = {}
  while SETTING.match(words[0]):
    name, _, settings[name] = words.pop(0).partition("=")
  return settings, words


def fields() -> set[str]:
  """The fields of a config that are set or named as flags anywhere."""
  texts = [path.read_text() for path in documents()]
  texts += [path.read_text() for path in sources()]
  return {
    name.rstrip(".")
    for text in texts
    for name in re.findall(r"--config\.([\w.]+)", text)
  }
