"""A page on a bundle for the terminal: what is in it, and what it is good for.

It tells what the manifest says; whether the files are what they should be is
for `verify` to find out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rich.box
from rich.console import Console, Group, RenderableType
from rich.filesize import decimal as size
from rich.table import Table
from rich.text import Text

from pwl_jax.bundle.inputs import Input, SoundInput, TextInput
from pwl_jax.bundle.parts import COARSE, REST
from pwl_jax.bundle.reading import Bundle
from pwl_jax.bundle.text import plain
from pwl_jax.method import composition as compositions

MOST_ROWS = 32  # Of compositions; of more, only the rungs of the ladder.
MOST_NAMES = 12  # Of classes.
WIDEST = 1000  # Letters; no table has more.


def page(bundle: Bundle, console: Console) -> RenderableType:
  """As wide as the console; where it is narrow, tables have fewer columns."""
  manifest = bundle.manifest
  directory = plain(str(bundle.directory))
  parts: list[RenderableType] = [Text(directory, style="bold")]
  facts = Table.grid(padding=(0, 2))
  for name, value in _facts(bundle):
    facts.add_row("", Text(name), Text(plain(value)))
  parts += [facts, Text(), _units(bundle, console)]
  if manifest.compositions:
    parts.append(_compositions(bundle, console))
  return Group(*parts)


def _input(input: Input) -> str:
  if isinstance(input, TextInput):
    return f"texts, of which {input.length} tokens count"
  if isinstance(input, SoundInput):
    return (
      f"int16 sounds of {input.samples:,} samples, {input.sample_rate:,} per "
      "second; others are cut or filled up"
    )
  size = "x".join(map(str, input.image))
  cut = ", others are cut to it" if input.resize == "centre" else ""
  return f"uint8 images of {size}{cut}"


def _facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
  manifest = bundle.manifest
  yield "takes", _input(manifest.input)
  names = list(manifest.class_names)
  if names:
    more = f", ... ({len(names)} classes)" if len(names) > MOST_NAMES else ""
    yield "classes", ", ".join(names[:MOST_NAMES]) + more
  if manifest.ladder:
    yield "ladder", " > ".join(manifest.ladder)
  total = sum(piece.stored_bytes for piece in manifest.pieces.values())
  store = "one Orbax item" if manifest.store == "orbax" else "one safetensors"
  store += "" if manifest.store == "orbax" else " file"
  yield "weights", f"{size(total)}, {store} per piece ({manifest.store})"
  programs = sum(len(piece.programs) for piece in manifest.pieces.values())
  yield "programs", f"{programs}, for {', '.join(manifest.platforms)}"
  versions = (f"{name} {v}" for name, v in manifest.versions.items())
  yield "written by", ", ".join(versions)
  for name in ("model.preset", "data.name"):
    if name in manifest.config:
      yield name, str(manifest.config[name])


def _units(bundle: Bundle, console: Console) -> Table:
  """The bytes of both networks, unit by unit, and of what lies between."""
  manifest = bundle.manifest
  groups = [*compositions.ROLES.values()][::-1]
  columns = [*groups, "converter behind it"]
  if manifest.coarse:
    groups += [COARSE, REST]
    columns[2:2] = ["coarse", "the rest of it"]
  rows, totals = [], [0] * len(columns)
  for i in range(manifest.num_units):
    pieces = [f"{group}/unit{i}" for group in groups]
    pieces.append(manifest.boundary(i) or "")
    sizes = [
      manifest.pieces[piece].nbytes if piece in manifest.pieces else None
      for piece in pieces
    ]
    totals = [a + (b or 0) for a, b in zip(totals, sizes, strict=True)]
    rows.append((str(i), *(_or_dash(nbytes, size) for nbytes in sizes)))
  rows.append(("all", *map(size, totals)))
  return _fitting(console, "Units", ["unit", *columns], rows)


def _compositions(bundle: Bundle, console: Console) -> Table:
  manifest = bundle.manifest
  words = sorted(
    manifest.compositions,
    key=lambda word: (compositions.height(word), word),
  )
  title = "Compositions"
  if len(words) > MOST_ROWS:
    title = f"Compositions of the ladder, of {len(words)} in all"
    words = [w for w in manifest.ladder if w in manifest.compositions]
  rows = []
  for word in words:
    found = manifest.compositions[word]
    rung = manifest.ladder.index(word) if word in manifest.ladder else None
    rows.append(
      (
        word,
        size(found.nbytes),
        _or_dash(found.valid, _percent),
        _or_dash(found.test, _percent),
        _or_dash(rung, str),
        "its own" if found.calibrated else "trained",
      )
    )
  columns = ("composition", "bytes", "held out", "test", "rung", "statistics")
  return _fitting(console, title, columns, rows)


def _fitting(
  console: Console,
  title: str,
  columns: Sequence[str],
  rows: Sequence[Sequence[str]],
) -> Table:
  """Without the last columns, where they would break the numbers."""
  boundless = console.options.update(width=WIDEST)
  for count in range(len(columns), 1, -1):
    table = _table(title, columns[:count], [row[:count] for row in rows])
    if console.measure(table, options=boundless).maximum <= console.width:
      return table
  return _table(title, columns[:1], [row[:1] for row in rows])


def _table(
  title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
  """Text only: nothing that comes from a file is taken for markup."""
  table = Table(
    title=Text(title, style="bold"),
    title_justify="left",
    box=rich.box.SIMPLE_HEAD,
    pad_edge=False,
  )
  for i, name in enumerate(columns):
    justify = "right" if i else "left"
    table.add_column(Text(name), justify=justify, overflow="fold")
  for row in rows:
    table.add_row(*map(Text, row))
  return table


def _percent(share: float) -> str:
  return f"{100 * share:.2f} %"


def _or_dash(value: Any, shown: Callable[[Any], str]) -> str:
  return "-" if value is None else shown(value)
