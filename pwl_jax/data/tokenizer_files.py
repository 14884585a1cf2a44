"""Tokenisers that exist: files of their own, or beside a network's weights."""

import json
import pathlib

import tokenizers

from pwl_jax.bundle.inputs import Input, TextInput
from pwl_jax.whole import write_whole

FILE = "tokenizer.json"
VOCABULARY = "vocab.txt"  # BERT's, from before there was the other.
ADVICE = (
  f"give a {FILE}, or a folder that has one, as the tokenizer's "
  "save_pretrained of transformers writes it"
)


def keep_tokenizer(workdir: pathlib.Path, input: Input):
  """Leaves that of texts in a workdir, for other runs and other tools."""
  if isinstance(input, TextInput):
    write_whole(workdir / FILE, input.tokenizer)


def read_tokenizer(path: str | pathlib.Path) -> str:
  """The text of a tokenizer.json; of a file, or of the folder it is in."""
  path = pathlib.Path(path)
  if path.is_dir():
    found = _in_folder(path)
    if found is None:
      names = sorted(file.name for file in path.iterdir())
      raise FileNotFoundError(f"{path} holds {names}; {ADVICE}")
    path = found
  if not path.is_file():
    raise FileNotFoundError(f"{path} does not exist; {ADVICE}")
  try:
    if path.name == VOCABULARY:
      return _of_vocabulary(path)
    return tokenizers.Tokenizer.from_str(path.read_text("utf-8")).to_str()
  except Exception as error:  # The library raises nothing narrower.
    raise ValueError(
      f"{path} cannot be read as a tokenizer: {error}; {ADVICE}"
    ) from error


def tokenizer_in(folder: pathlib.Path) -> str:
  """That which lies in a folder; "" if there is none."""
  found = _in_folder(folder) if folder.is_dir() else None
  return read_tokenizer(found) if found else ""


def _in_folder(folder: pathlib.Path) -> pathlib.Path | None:
  files = (folder / name for name in (FILE, VOCABULARY))
  return next((file for file in files if file.is_file()), None)


def _of_vocabulary(path: pathlib.Path) -> str:
  """BERT's: a token on each line, whose number is its place."""
  lines = path.read_text("utf-8").removesuffix("\n").split("\n")
  options = path.parent / "tokenizer_config.json"
  lowercase = True
  if options.is_file():
    lowercase = json.loads(options.read_text("utf-8")).get(
      "do_lower_case", True
    )
  vocabulary = {token: i for i, token in enumerate(lines)}
  return tokenizers.BertWordPieceTokenizer(
    vocabulary, lowercase=lowercase
  ).to_str()
