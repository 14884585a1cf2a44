"""Results of runs that never were: consistent, for any number of units."""

import itertools
import json
import math
import random

from pwl_jax.method import composition as compositions

Z = 1.959964


def score(count, right, *, classes=10):
  p = right / count
  middle = (p + Z * Z / (2 * count)) / (1 + Z * Z / count)
  half = math.sqrt(p * (1 - p) / count + (Z / (2 * count)) ** 2)
  half *= Z / (1 + Z * Z / count)
  return {
    "count": count,
    "top1": p,
    "top5": (1 + p) / 2 if classes > 5 else None,
    "loss": 2 * (1 - p) + 0.01,
    "interval": [max(0.0, middle - half), min(1.0, middle + half)],
  }


def make_results(units=3, seed=0, *, classes=10, monotone=False, config=None):
  """Of all compositions up to seven units, of the families beyond."""
  draw = random.Random(seed)
  pieces = [_unit(i, last=i == units - 1) for i in range(units)]
  families = {name: f(units) for name, f in compositions.FAMILIES.items()}
  words = compositions.every(units)
  if units > 7:
    words = list(dict.fromkeys(w for f in families.values() for w in f))
  measured = {
    word: _composition(word, pieces, draw, classes, monotone) for word in words
  }
  order = list(range(units))
  draw.shuffle(order)
  if units > 7:
    order = list(range(units))
  orders = {"planned": order, "prefix": list(range(units))}
  orders["suffix"] = orders["prefix"][::-1]
  results = {
    "schema": 1,
    "pwl_jax": "0.1.0",
    "jax": "0.10.2",
    "devices": "1 x cpu",
    "config": {"seed": seed, "data.name": "digits", "log_every": 50}
    | {"model.preset": "digits_resnet", "distill.epochs": 60}
    | (config or {}),
    "data": {"name": "digits", "classes": classes, "image": [8, 8, 1]}
    | {"train": 1294, "valid": 144, "test": 359},
    "absent": {},
    "stages": {
      name: {"steps": 630, "seconds": 12.3, "digest": name}
      for name in ("teacher", "student_plain", "student_kd", "distill")
    },
    "networks": _networks(measured, pieces, draw, classes, units),
    "units": pieces,
    "compositions": measured,
    "families": families,
    "ladders": {n: _ladder(o, measured, pieces) for n, o in orders.items()},
    "budgets": _budgets(measured),
    "budget": None,
    "calibration": {"images": 2048, "tried": 14, "kept": 7, "bytes": 12345},
    "refit": {
      "images": 2048,
      "boundaries": [
        {"boundary": i, "kept": i % 2 == 0, "before": 0.9, "after": 0.92}
        for i in range(units - 1)
      ],
    },
  }
  return json.loads(json.dumps(results))


def _unit(i, *, last):
  def piece(parameters, width):
    return {
      "parameters": parameters,
      "bytes": 4 * parameters,
      "flops": 50 * parameters,
      "width": width,
    }

  converter = {"parameters": 2 * 8 * 32, "bytes": 4 * 2 * 8 * 32}
  return {
    "teacher": piece(10_000 * 2**i, 32),
    "student": piece(300 * (i + 1), 8),
    "converter": None if last else converter,
  }


def _composition(word, pieces, draw, classes, monotone):
  share = word.count("T") / len(word)
  switches = sum(a != b for a, b in itertools.pairwise(word))
  noise = 0 if monotone else draw.uniform(-0.015, 0.005) * (switches + 0.2)
  p = min(0.995, 0.93 + 0.05 * share + noise)
  own = score(359, round(359 * p), classes=classes)
  held = score(144, round(144 * min(0.999, p + 0.005)), classes=classes)
  roles = [compositions.ROLES[letter] for letter in word]
  return {
    **{
      key: sum(u[r][key] for u, r in zip(pieces, roles, strict=True))
      for key in ("bytes", "flops")
    },
    "calibrated": switches > 0,
    "valid": held,
    "test": own,
    "uncalibrated": {"valid": held, "test": own} if switches else None,
  }


def _networks(measured, pieces, draw, classes, units):
  found = {}
  for name, role in (
    ("teacher", "teacher"),
    ("student_plain", "student"),
    ("student_kd", "student"),
    ("student", "student"),
  ):
    sizes = {
      key: sum(unit[role][key] for unit in pieces)
      for key in ("parameters", "bytes", "flops")
    }
    word = ("T" if role == "teacher" else "S") * units
    scores = {split: measured[word][split] for split in ("valid", "test")}
    if name in ("student_plain", "student_kd"):
      right = round(359 * draw.uniform(0.91, 0.96))
      scores["test"] = score(359, right, classes=classes)
    found[name] = sizes | scores
  return found


def _ladder(order, measured, pieces):
  rungs = compositions.ladder(order)
  sizes = [pieces[unit]["teacher"]["bytes"] for unit in order]
  ladder = {"order": order, "rungs": rungs}
  ladder["loaded_bytes"] = [sum(sizes[:k]) for k in range(len(rungs))]
  for split in ("valid", "test"):
    values = [measured[word][split]["top1"] for word in rungs]
    steps = [a - b for a, b in itertools.pairwise(values)]
    area = sum(v * s for v, s in zip(values, sizes, strict=False))
    ladder[split] = {
      "worst_step": max(0.0, *steps),
      "mean_accuracy": area / sum(sizes),
    }
  return ladder


def _budgets(measured):
  found, best = [], -1.0
  for word in sorted(measured, key=lambda w: measured[w]["bytes"]):
    value = measured[word]["valid"]["top1"]
    if value > best:
      best = value
      found.append({"bytes": measured[word]["bytes"], "composition": word})
  return found
