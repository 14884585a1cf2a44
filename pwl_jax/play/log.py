"""What is seen where there is no terminal: whatever happens is a line.

A line has what was so when it happened. How the stream does is a line of its
own, of the moment when it is written.
"""

from typing import TextIO

from rich.filesize import decimal as size

from pwl_jax.play import scene as scenes
from pwl_jax.play.scene import Scene
from pwl_jax.runtime.events import Event

WORTH_A_LINE = ("opened", "served", "retried", "failed", "cancelled")
EVERY = 10.0  # Seconds between two lines about the stream.


class Log:
  """Writes what is new since it was last called."""

  def __init__(self, out: TextIO):
    self._out, self._seen = out, 0
    self._next = 0.0  # When the stream has a line again.

  def __call__(self, scene: Scene):
    for event in scene.events[self._seen :]:
      if event.kind in WORTH_A_LINE:
        memory = f"{size(event.resident_bytes)} in memory"
        self._say(event.seconds, f"{_what(event, scene)}; {memory}")
    self._seen = len(scene.events)
    if scene.answers and scene.seconds >= self._next:
      self._next = scene.seconds + EVERY
      text = f"{scenes.stream(scene)}; {scenes.latency(scene)}"
      self._say(scene.seconds, text)

  def _say(self, seconds: float, text: str):
    print(f"{seconds:7.2f} s  {text}", file=self._out, flush=True)


def _what(event: Event, scene: Scene) -> str:
  if event.kind not in ("opened", "served"):
    return f"{event.kind} {event.text}"
  accuracy = scenes.accuracy_of(scene.manifest, event.composition)
  return f"{event.kind} {event.composition}, {accuracy}"
