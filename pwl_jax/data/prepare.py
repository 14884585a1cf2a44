"""Downloads a TFDS set and prepares it in the form that training reads.

  python -m pwl_jax.data.prepare cifar10 --data_dir=DIR

This needs TensorFlow, once and on any machine; reading the result never does.
"""

import argparse
import importlib.util
import sys

from pwl_jax.data.prepared import import_tfds

FORM = "array_record"
# Module -> what to install. TFDS asks for them only in the middle of its work.
NEEDED = {
  "tensorflow": "tensorflow",
  "importlib_resources": "importlib_resources",
}


def prepare(name: str, data_dir: str | None) -> str:
  """Returns where the set lies afterwards."""
  tfds = import_tfds()
  builder = tfds.builder(name, data_dir=data_dir)
  if not builder.is_prepared():
    check_packages(name)
    builder = tfds.builder(name, data_dir=data_dir, file_format=FORM)
    builder.download_and_prepare()
  elif builder.info.file_format.value != FORM:
    raise ValueError(
      f"{builder.data_path} holds it as {builder.info.file_format.value}, "
      f"which TFDS does not replace by {FORM}; give another --data_dir"
    )
  return str(builder.data_path)


def check_packages(name: str):
  missing = [m for m in NEEDED if importlib.util.find_spec(m) is None]
  if missing:
    raise ValueError(
      f"preparing {name} needs {' and '.join(missing)}, not installed here. "
      "Install what is missing, or do this on another machine and copy the "
      "folder that it names:\n"
      f"  pip install {' '.join(NEEDED[m] for m in missing)}\n"
      "Training does not need them."
    )


def main(argv: list[str]):
  parser = argparse.ArgumentParser(
    prog="python -m pwl_jax.data.prepare",
    description="Downloads a TFDS set and prepares it as ArrayRecord files.",
  )
  parser.add_argument("name", help="of the set, such as cifar10")
  parser.add_argument("--data_dir", help="where it goes; TFDS's own by default")
  arguments = parser.parse_args(argv)
  try:
    where = prepare(arguments.name, arguments.data_dir)
  except Exception as error:  # Whatever TFDS or a download may raise.
    sys.exit(f"error: {arguments.name} was not prepared: {in_short(error)}")
  print(f"{arguments.name} is in {where}")


def in_short(error: Exception) -> str:
  """Its text without the list of all sets that TFDS puts into it."""
  text = str(error) or type(error).__name__
  if "Available datasets:" not in text:
    return text
  lines = text.splitlines()
  return " ".join(
    [lines[0], *(line for line in lines if line.startswith("Did you mean"))]
  )


if __name__ == "__main__":
  main(sys.argv[1:])
