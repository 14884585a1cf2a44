"""Writes play.json and play.png, where the report of a run looks for them."""

import hashlib
import pathlib
import tempfile
from typing import Any

from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle import text
from pwl_jax.bundle.manifest import Manifest
from pwl_jax.play import timeline
from pwl_jax.play.timeline import Recorded
from pwl_jax.whole import write_whole

REPORT = "report"


def place(bundle: pathlib.Path, out: pathlib.Path | None) -> pathlib.Path:
  """The directory to write to, which is there then and can be written to.

  That is the report of the workdir that the bundle lies in; of a bundle that
  lies elsewhere, a directory beside it.
  """
  whole = bundle.absolute()
  beside = whole.parent / REPORT
  if out is None:
    out = beside if beside.is_dir() else whole.with_name(f"{whole.name}-play")
  if whole == out.absolute() or whole in out.absolute().parents:
    raise ValueError(
      f"{out} lies in the bundle, which holds what was exported and nothing "
      "else; give another --out"
    )
  out.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryFile(dir=out):
    return out


def describe(
  recorded: Recorded,
  *,
  bundle: pathlib.Path,
  manifest: Manifest,
  data: str,
  batch: int,
  threads: int,
  policy: str,
  budget: int | None,
  bandwidth: float | None,
  requests_per_second: float,
  cold: bool,
  alone: float | None,
) -> dict[str, Any]:
  """All of play.json."""
  import jax

  return {
    "schema": timeline.SCHEMA,
    "bundle": str(bundle),
    "manifest_sha256": digest(bundle),
    "data": data,
    "kind": manifest.input.kind,
    "device": jax.devices()[0].device_kind,
    "bandwidth": bandwidth,
    "requests_per_s": requests_per_second,
    "batch": batch,
    "threads": threads,
    "policy": policy,
    "budget": budget,
    "caches": "cold" if cold else "warm",
    "seconds": round(recorded.seconds, 6),
    "interrupted": recorded.interrupted,
    "error": recorded.error,
    "failed_requests": len(recorded.failures),
    "unanswered_requests": recorded.unanswered,
    "teacher_plainly": None if alone is None else {"seconds": round(alone, 6)},
    **timeline.describe(
      recorded.rungs,
      recorded.answers,
      batch=batch,
      measured=manifest.compositions,
    ),
  }


def digest(bundle: pathlib.Path) -> str:
  """Of manifest.json, which has digests of everything else."""
  written = (bundle / manifests.NAME).read_bytes()
  return hashlib.sha256(written).hexdigest()


def write(found: dict[str, Any], out: pathlib.Path) -> list[pathlib.Path]:
  """Returns what it has written; there may be nothing to draw."""
  from pwl_jax.report import drawing, served, serving

  path = out / served.NAME
  write_whole(path, text.render(found))
  picture = serving.picture(served.read(path))
  image = out / f"{serving.NAME}.png"
  if picture is None:
    image.unlink(missing_ok=True)
    return [path]
  write_whole(image, drawing.to_png(picture))
  return [path, image]
