"""How pictures look and how they leave: PNG in light, SVG in both themes.

A picture is a function that draws on a `Canvas` of some width; lengths are
pixels of the page. Colours are names with a value for each theme. In an SVG
they become CSS variables, so one drawing serves light and dark.
"""

import html
import io
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pwl_jax.report.theme import LIGHT, STYLE

WIDE, NARROW = 880, 350  # A page on a desk, and on a phone.
PER_INCH = 72  # So that a point is a pixel of the page.


class Canvas(NamedTuple):
  """A figure in the making."""

  figure: Figure
  width: int
  height: int

  @property
  def is_narrow(self) -> bool:
    return self.width < WIDE

  def axes(
    self, left: float, top: float, width: float, height: float, **options: Any
  ) -> Axes:
    """Axes whose inner frame lies there, in pixels from the upper left."""
    return self.figure.add_axes(
      (
        left / self.width,
        1 - (top + height) / self.height,
        width / self.width,
        height / self.height,
      ),
      **options,
    )


class Picture(NamedTuple):
  """What a page and a directory of pictures need to know of a drawing."""

  name: str  # Of its file, without the suffix.
  title: str  # What it shows, as a sentence.
  caption: str  # How to read it.
  alt: str
  height: Callable[[int], int]  # Of a canvas of that width.
  draw: Callable[[Canvas], Mapping[str, str] | None]  # -> gid -> what it is.
  min_width: int = NARROW  # On a phone it is scrolled, if this is wider.


def to_png(picture: Picture) -> bytes:
  canvas, _ = _drawn(picture, WIDE)
  stream = io.BytesIO()
  with matplotlib.rc_context(STYLE):
    FigureCanvasAgg(canvas.figure)
    canvas.figure.savefig(
      stream,
      format="png",
      dpi=2 * PER_INCH,
      facecolor=LIGHT["panel"],
      metadata={"Software": None},
    )
  return stream.getvalue()


def to_svg(picture: Picture, width: int = WIDE) -> str:
  """An element for a page, with ids of its own, in the colours of its theme."""
  canvas, notes = _drawn(picture, width)
  stream = io.StringIO()
  with matplotlib.rc_context(STYLE):
    FigureCanvasSVG(canvas.figure)
    canvas.figure.savefig(
      stream, format="svg", transparent=True, metadata={"Date": None}
    )
  name = f"{picture.name}{width}"
  text = _without_frame(stream.getvalue())
  text = _with_notes(text, notes)
  text = _themed(_with_own_ids(text, name))
  return (
    f'<svg role="img" aria-labelledby="{name}-title" '
    f'viewBox="0 0 {canvas.width} {canvas.height}">'
    f'<title id="{name}-title">{html.escape(picture.alt)}</title>{text}</svg>'
  )


def _drawn(picture: Picture, width: int) -> tuple[Canvas, Mapping[str, str]]:
  height = picture.height(width)
  with matplotlib.rc_context(STYLE):
    figure = Figure(figsize=(width / PER_INCH, height / PER_INCH), dpi=PER_INCH)
    canvas = Canvas(figure, width, height)
    notes = picture.draw(canvas) or {}
  return canvas, notes


def _without_frame(svg: str) -> str:
  """What lies in the outermost element; its style is on the page once."""
  body = svg[svg.index("<svg") :]
  body = body[body.index(">") + 1 : body.rindex("</svg>")]
  for name in ("metadata", "style"):
    body = re.sub(rf"<{name}\b.*?</{name}>", "", body, flags=re.DOTALL)
  return re.sub(r"\s*\n\s*", "\n", body.replace("xlink:href", "href"))


def _with_notes(svg: str, notes: Mapping[str, str]) -> str:
  """What the pointer is told about a marked element."""
  for gid, note in notes.items():
    mark = f'<g id="{gid}">'
    svg = svg.replace(mark, f"<g><title>{html.escape(note)}</title>", 1)
  return svg


def _with_own_ids(svg: str, name: str) -> str:
  used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))

  def own(match):
    return f' id="{name}-{match[1]}"' if match[1] in used else ""

  svg = re.sub(r' id="([^"]*)"', own, svg)
  return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)


def _themed(svg: str) -> str:
  names = {value: name for name, value in LIGHT.items()}

  def themed(match):
    name = names.get(match[0])
    return f"var(--{name})" if name else match[0]

  return re.sub(r"#[0-9a-f]{6}\b", themed, svg)
