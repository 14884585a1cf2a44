"""Pictures: in both themes, whole at their edges, with labels that are free."""

import itertools

import numpy as np
import pytest
import report_cases
from matplotlib.figure import Figure
from report_page import drawn, words_of
from report_runs import write_run

from pwl_jax.evaluation.scores import Score
from pwl_jax.method.objective import PARTS
from pwl_jax.report import labels, loading, results
from pwl_jax.report.axes import apart, beside, percent_axis
from pwl_jax.report.curves import PART_COLOR
from pwl_jax.report.drawing import Picture, to_png, to_svg
from pwl_jax.report.theme import DARK, LIGHT


def test_labels_are_a_gap_apart_in_their_order_and_near():
  rng = np.random.default_rng(0)
  for _ in range(50):
    wanted = rng.uniform(0, 60, 6)
    found = np.array(apart(list(wanted), 14))
    assert (np.argsort(found) == np.argsort(wanted)).all()
    assert (np.diff(np.sort(found)) >= 14 - 1e-9).all()
    assert abs(found.mean() - wanted.mean()) < 1e-9
  assert apart([0.0, 50.0], 14) == [0.0, 50.0]


def test_pictures_take_the_colours_of_the_theme():
  def draw(canvas):
    canvas.axes(10, 10, 100, 50).plot([0, 1], color=LIGHT["swap"])

  picture = Picture("p", "t", "c", "a < b", lambda width: 100, draw)
  svg = to_svg(picture)
  assert "var(--swap)" in svg and LIGHT["swap"] not in svg
  assert "a &lt; b" in svg
  assert to_png(picture) == to_png(picture)
  assert LIGHT.keys() == DARK.keys()
  assert len(set(LIGHT.values())) == len(LIGHT)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_panel(colors):
  def luminance(name):
    channels = [int(colors[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
      c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))

  for name in colors.keys() - {"panel", "grid"}:
    low, high = sorted([luminance(name), luminance("panel")])
    assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_every_part_of_the_loss_has_a_colour():
  assert set(PART_COLOR) == set(PARTS)


@pytest.mark.parametrize("right", [0, 100])
def test_equal_and_extreme_accuracies_can_be_drawn(tmp_path, right):
  """At 0 and 1 an interval may end a rounding beyond the accuracy."""
  found = report_cases.make_results(2)
  p = right / 100
  own = Score(100, p, p, 0.1)
  score = {**own._asdict(), "interval": list(own.interval)}
  for measured in (
    *found["compositions"].values(),
    *found["networks"].values(),
  ):
    measured |= {"valid": score, "test": score}
  pictures = drawn(write_run(tmp_path, found))
  assert pictures.keys() >= {"families", "loading", "lattice", "memory"}


def test_time_is_drawn_where_it_was_measured(tmp_path):
  found = report_cases.make_results(2)
  for ladder in found["ladders"].values():
    ladder["loaded_seconds"] = [0.1, 0.5, 90.0]
  picture = loading.picture(results.check(found))
  assert "and against time" in picture.alt
  assert ">1 min 20 s<" in to_svg(picture)
  assert "1 min 30 s" in words_of(tmp_path, found).text


@pytest.mark.parametrize(
  "values", [(0.2, 1.0), (1.0, 1.0), (0.0, 0.3), (0.0, 1.0), (0.98, 1.0)]
)
def test_points_at_the_ends_of_the_scale_are_drawn_whole(values):
  """A point is 7 pixels wide, and the lowest axes are 225 high."""
  axes = Figure().add_axes((0, 0, 1, 1))
  percent_axis(axes, values)
  low, high = axes.get_ylim()
  for value in values:
    assert min(value - low, high - value) * 225 / (high - low) >= 5
  ticks = axes.get_yticks()
  assert len(ticks) >= 2 and min(ticks) > -1e-6 and max(ticks) < 1 + 1e-6


@pytest.mark.parametrize("x", [0, 3, 100, 140, 150, 222, 800])
def test_words_at_a_line_stay_on_the_canvas(x):
  edges = (-52, max(298, x + 76))
  start = beside(x, 190, edges)
  assert edges[0] <= start and start + 190 <= edges[1]
  if x > 140:
    assert start + 190 == x + 2  # They end where the line is.


def test_labels_cover_neither_lines_nor_points_nor_each_other():
  draw = np.random.default_rng(0)
  placed = 0
  for _ in range(30):
    points = sorted(map(tuple, draw.uniform(0, 200, (8, 2))))
    lines = [
      line
      for (x0, y0), (x1, y1) in itertools.pairwise(points)
      for line in ((x0, y0, x1, y0), (x1, y0, x1, y1))
    ]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for point in points:
      box = labels.place(
        point, (30, 13), lines=lines, boxes=taken, within=(0, 0, 200, 200)
      )
      if box:
        covered = (*taken, *map(labels.box_of, lines))
        assert not any(labels.overlap(box, other) for other in covered)
        assert min(box) >= 0 and max(box) <= 200
        taken.append(box)
        placed += 1
  assert placed > 100
