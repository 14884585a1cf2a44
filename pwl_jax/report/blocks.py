"""The pieces that every page is made of; all text is escaped in here."""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pwl_jax.report import phrases, style
from pwl_jax.report.drawing import NARROW, WIDE, Picture, to_svg
from pwl_jax.report.headline import Figure
from pwl_jax.report.table import Cell, Table


def text(value: Any) -> str:
  """Escaped; a number and its unit stay on one line."""
  found = html.escape(str(value))
  return phrases.UNIT.sub("&nbsp;", found)


def with_commands(words: str) -> str:
  """Escaped; what is to be typed stands out and is not broken."""
  return re.sub(r"(--[\w.]+=[\w,]+)", r"<code>\1</code>", text(words))


def document(title: str, parts: Iterable[str]) -> str:
  body = "\n".join(part for part in parts if part)
  return (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<link rel="icon" href="data:,">\n'
    f"<title>{text(title)}</title>\n<style>\n{style.css()}</style>\n</head>\n"
    f"<body>\n<main>\n{body}\n</main>\n"
    f"<script>\n{style.SCRIPT}</script>\n</body>\n</html>\n"
  )


def header(kind: str, title: str, facts: Sequence[str]) -> str:
  lines = "".join(f"<p>{text(fact)}</p>" for fact in facts)
  return (
    f'<header><p class="kind">{text(kind)}</p><h1>{text(title)}</h1>'
    f"{lines}</header>"
  )


def figures(found: Sequence[Figure]) -> str:
  if not found:
    return ""
  boxes = "".join(
    f'<div><dt>{text(figure.label)}</dt><dd class="value">'
    f'{text(figure.value)}</dd><dd class="note">{text(figure.note)}</dd></div>'
    for figure in found
  )
  return f'<dl class="figures">{boxes}</dl>'


def absent(found: Mapping[str, str]) -> str:
  items = [f"{name}: {why}" for name, why in found.items()]
  return remarks("What is absent", items)


def remarks(title: str, found: Sequence[str]) -> str:
  if not found:
    return ""
  items = "".join(f"<li>{with_commands(words)}</li>" for words in found)
  return section(f"<h2>{text(title)}</h2><ul>{items}</ul>", "absent")


def section(content: str, kind: str = "") -> str:
  attribute = f' class="{kind}"' if kind else ""
  return f"<section{attribute}>{content}</section>"


def details(title: str, content: str) -> str:
  return section(
    f"<details><summary>{text(title)}</summary>{content}</details>"
  )


def of_picture(picture: Picture) -> str:
  """Drawn again for phones; what is wider still scrolls in its box."""
  wide, narrow = to_svg(picture, WIDE), ""
  width = max(NARROW, picture.min_width)
  kind = "scroll"
  if width < WIDE:
    narrow = f'<div class="narrow">{to_svg(picture, width)}</div>'
    kind = "scroll has-narrow"
  shown = (
    f'<div class="{kind}" style="--least: {width}px" tabindex="0" '
    f'role="group" aria-label="{text(picture.name)}">'
    f'<div class="wide">{wide}</div>{narrow}</div>'
  )
  return section(
    f"<h2>{text(picture.title)}</h2><p>{text(picture.caption)}</p>{shown}"
  )


def of_table(table: Table, *, sortable: bool = False) -> str:
  head = "".join(
    f'<th scope="col"{_kind(i, table)}>'
    + (f"<button>{text(name)}</button>" if sortable else text(name))
    + "</th>"
    for i, name in enumerate(table.columns)
  )
  rows = "".join(
    "<tr>"
    + "".join(_cell(i, cell, table) for i, cell in enumerate(row))
    + "</tr>"
    for row in table.rows
  )
  return (
    f'<div class="scroll" tabindex="0" role="group" '
    f'aria-label="{text(table.title)}"><table>'
    f"<caption>{text(table.title)}</caption>"
    f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
  )


def _cell(i: int, cell: Cell, table: Table) -> str:
  value = "" if cell.value is None else f' data-value="{text(cell.value)}"'
  kind = _kind(i, table, "down" if cell.is_down else "")
  if i == 0:
    return f'<th scope="row"{kind}{value}>{text(cell.text)}</th>'
  return f"<td{kind}{value}>{text(cell.text)}</td>"


def _kind(i: int, table: Table, other: str = "") -> str:
  kinds = " ".join(filter(None, ["word" if i in table.words else "", other]))
  return f' class="{kinds}"' if kinds else ""


def of_fields(fields: Mapping[str, Any]) -> str:
  items = "".join(
    f"<div><dt><code>{text(name)}</code></dt>"
    f"<dd><code>{text(json.dumps(value, ensure_ascii=False))}</code></dd></div>"
    for name, value in sorted(fields.items())
  )
  return f'<dl class="fields">{items}</dl>'
