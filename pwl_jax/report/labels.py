"""Places for labels beside points, where they cover nothing; in pixels."""

from collections.abc import Sequence

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, low, right, high
Segment = tuple[float, float, float, float]  # x, y to x, y; level or upright

BESIDE, ABOVE = 5, 6  # How far a label is from its point.


def place(
  point: Point,
  size: Point,
  *,
  lines: Sequence[Segment],
  boxes: Sequence[Box],
  within: Box,
) -> Box | None:
  """Beside a point: above or below it, to the right or left; or nowhere."""
  (x, y), (width, height) = point, size
  for low in (y + ABOVE, y - ABOVE - height):
    for left in (x + BESIDE, x - BESIDE - width, x - width / 2):
      box = (left, low, left + width, low + height)
      inside = (
        within[0] <= box[0]
        and within[1] <= box[1]
        and box[2] <= within[2]
        and box[3] <= within[3]
      )
      if inside and not any(
        overlap(box, other) for other in (*boxes, *map(box_of, lines))
      ):
        return box
  return None


def box_of(line: Segment) -> Box:
  """With a pixel to either side."""
  x0, y0, x1, y1 = line
  return (
    min(x0, x1) - 1.5,
    min(y0, y1) - 1.5,
    max(x0, x1) + 1.5,
    max(y0, y1) + 1.5,
  )


def overlap(one: Box, other: Box) -> bool:
  return (
    one[0] < other[2]
    and other[0] < one[2]
    and one[1] < other[3]
    and other[1] < one[3]
  )
