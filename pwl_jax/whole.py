"""Files that appear whole or not at all."""

import pathlib


def write_whole(path: pathlib.Path, content: bytes | str):
  """The file has all of the content, or what it had before."""
  temporary = path.with_name(f"{path.name}.tmp")
  data = content.encode() if isinstance(content, str) else content
  temporary.write_bytes(data)
  temporary.replace(path)
