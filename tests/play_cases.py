"""What was played, made up: records, scenes, and play.json."""

import io

from rich.console import Console

from pwl_jax.bundle.manifest import Composition
from pwl_jax.play import __main__, alone, timeline
from pwl_jax.play.scene import Scene
from pwl_jax.play.stream import Answer
from pwl_jax.play.timeline import Rung
from pwl_jax.report import served
from pwl_jax.runtime.events import Event


def made_up(count=400):
  """Two examples a request; the student has half right, the rest all."""
  answers = []
  for i in range(count):
    word = "SS" if i < 100 else "TS" if i < 200 else "TT"
    due = 1 + i / 100
    late = 0.002 if i % 50 else 0.1
    answers.append(Answer(due, due + late, word, 1 if word == "SS" else 2))
  rungs = [Rung(0.9, "SS", 10), Rung(2.0, "TS", 20), Rung(3.0, "TT", 30)]
  return rungs, answers


def described(rungs, answers, **measured):
  known = {
    word: Composition(1, *both, False) for word, both in measured.items()
  }
  return timeline.describe(rungs, answers, batch=2, measured=known)


def play_json(**changes):
  rungs, answers = made_up()
  found = described(rungs, answers, SS=(0.5, 0.4), TS=(0.6, 0.7), TT=(0.8, 0.9))
  return {
    "schema": timeline.SCHEMA,
    "bundle": "runs/x/bundle",
    "manifest_sha256": "0" * 64,
    "data": "digits",
    "kind": "images",
    "device": "cpu",
    "bandwidth": 1e6,
    "requests_per_s": 100.0,
    "batch": 2,
    "threads": 2,
    "policy": "better",
    "budget": None,
    "caches": "warm",
    "seconds": 5.2,
    "interrupted": False,
    "error": "",
    "failed_requests": 0,
    "unanswered_requests": 0,
    "teacher_plainly": {"seconds": 3.6},
    **found,
    **changes,
  }


def changed(part, **fields):
  found = play_json()
  found[part][0] = found[part][0] | fields
  return found


def scene_of(manifest, *rungs, **changes):
  """After (seconds, composition, bytes) of each rung."""
  events = tuple(
    Event(seconds, "served" if i else "opened", word, word, nbytes)
    for i, (seconds, word, nbytes) in enumerate(rungs)
  )
  recent = [Answer(1.0, 1.25, rungs[-1][1], 1)]
  found = Scene(
    seconds=rungs[-1][0] + 1.0,
    manifest=manifest,
    composition=rungs[-1][1],
    resident_bytes=rungs[-1][2],
    loaded=frozenset(),
    coming=frozenset(),
    progress=None,
    answers=1234,
    right=617,
    examples=1234,
    recent=recent,
    last=None,
    behind=0,
    failures=0,
    events=events,
  )
  return found._replace(**changes)


def in_terminal(renderable, columns):
  """The lines that it shows."""
  out = io.StringIO()
  Console(file=out, width=columns).print(renderable)
  return [line.rstrip() for line in out.getvalue().splitlines()]


def player(bundle, *, folder, tmp_path, monkeypatch, capsys):
  """play(*flags) -> the exit code, what it wrote, output and errors.

  Compiled programs lie in the folder; nothing is rehearsed or compared.
  """
  monkeypatch.setenv("PWL_JAX_CACHE", str(folder))
  monkeypatch.setattr(alone, "rehearse", lambda *given, **options: None)
  monkeypatch.setattr(alone, "measure", lambda *given, **options: 9.5)

  def play(*flags, where=bundle):
    out = tmp_path / "out"
    given = [f"--bundle={where}", f"--out={out}", "--seconds=0", *flags]
    code = __main__.main(given)
    path = out / served.NAME
    found = served.read(path) if path.exists() else None
    return code, found, *capsys.readouterr()

  return play
