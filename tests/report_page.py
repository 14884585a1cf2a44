"""A page as a browser reads it, and what it would stumble over."""

import html.parser
import io
import json
import re

from report_runs import write_run
from rich.console import Console

from pwl_jax.report import __main__ as command
from pwl_jax.report import run, summary
from pwl_jax.report.drawing import NARROW, to_svg
from pwl_jax.report.page import of_run
from pwl_jax.report.writing import pictures_of

EMPTY = {"meta", "link", "br", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
  """What a browser would stumble over."""

  def __init__(self, text: str):
    super().__init__()
    self.open, self.faults, self.ids, self.used = [], [], [], set()
    self.words, self.pictures, self.scripts = [], 0, 0
    self.feed(text)
    self.close()
    self.faults += [f"{tag} is not closed" for tag in self.open]
    self.faults += [f"{i} is no id" for i in self.used - set(self.ids)]
    self.faults += [f"{i} twice" for i in self.ids if self.ids.count(i) > 1]
    self.text = " ".join(" ".join(self.words).split())

  def handle_starttag(self, tag, attributes):
    found = dict(attributes)
    if tag not in EMPTY and not self.get_starttag_text().endswith("/>"):
      self.open.append(tag)
    if "id" in found:
      self.ids.append(found["id"])
    for name, value in attributes:
      self.used |= set(re.findall(r"url\(#([^)]+)\)", value or ""))
      outside = re.search(r"https?:|//", value or "")
      if outside or (name == "src" and not (value or "").startswith("data:")):
        self.faults.append(f"{tag} {name}={value} is outside")
    self.used |= (
      {found["href"][1:]} if found.get("href", "")[:1] == "#" else set()
    )
    self.scripts += tag == "script"
    if tag == "svg":
      self.pictures += 1
      self.used.add(found["aria-labelledby"])
    if tag == "img" and not found.get("alt"):
      self.faults.append("an img without alt")

  def handle_startendtag(self, tag, attributes):
    self.handle_starttag(tag, attributes)

  def handle_endtag(self, tag):
    if not self.open or self.open.pop() != tag:
      self.faults.append(f"</{tag}> closes another element")

  def handle_data(self, data):
    if self.open and self.open[-1] not in ("style", "script"):
      self.words.append(data)


def read_page(path) -> Page:
  text = path.read_text()
  assert "url(http" not in text and "@import" not in text
  page = Page(text)
  assert page.faults == []
  return page


def words_of(tmp_path, found) -> Page:
  """The page without its pictures, which take the time."""
  page = Page(of_run(run.read(write_run(tmp_path, found)), []))
  assert page.faults == []
  return page


def drawn(workdir) -> dict[str, str]:
  """picture -> its SVG for a phone."""
  pictures = pictures_of(run.read(workdir))
  return {picture.name: to_svg(picture, NARROW) for picture in pictures}


def in_terminal(found, width=100) -> str:
  console = Console(width=width, record=True, file=io.StringIO())
  console.print(summary(found))
  return console.export_text()


def compared(capsys, tmp_path, *runs, code=0):
  assert command.main([str(path) for path in runs]) == code
  text = capsys.readouterr().out
  found = json.loads((tmp_path / "comparison" / "results.json").read_text())
  read_page(tmp_path / "comparison" / "report.html")
  return text, found
