"""Teacher's units that come coarse first, and are made exact by the rest."""

import itertools
import json

import numpy as np
import pytest

from pwl_jax import stages
from pwl_jax.bundle import manifest as manifests
from pwl_jax.bundle.names import flat
from pwl_jax.bundle.reading import Damaged, open_bundle
from pwl_jax.bundle.verify import verify
from pwl_jax.compress.leaves import decode, encode
from pwl_jax.compress.refine import joined, rest_of_unit
from pwl_jax.data.inputs import noise, to_network
from pwl_jax.evaluation.ladder import best_ladder
from pwl_jax.evaluation.rounded import standard_error
from pwl_jax.evaluation.words import neighbours, wishes, with_coarse
from pwl_jax.exporting.precision import of_texts
from pwl_jax.method import composition as compositions
from pwl_jax.runtime import errors, open_model
from pwl_jax.runtime.memory import Memory
from tests.bundle_cases import broken, every_fault_is_named, trained
from tests.cases import assert_close
from tests.tiny_config import get_config

MIXED = "int8+float32,int4,int4+float32"
EVERY = "int8+float32"


def write(directory, case, student="int8", teacher=EVERY, **options):
  precisions = of_texts(student, teacher, case.swapnet.num_units)
  n, coarse = case.swapnet.num_units, precisions.coarse
  words = compositions.every(n, coarse)
  measured = {
    word: manifests.Composition(0, 0.3 + 0.01 * k, 0.5, False)
    for k, word in enumerate(sorted(words, key=compositions.height))
  }
  options = dict(compositions=measured, ladder=climb(n, coarse)) | options
  case.write(directory, precisions=precisions, platforms=("cpu",), **options)
  return precisions


def climb(num_units, coarse):
  """All units as coarse as they are, one by one, and then all exact."""
  first = "".join("t" if i in coarse else "T" for i in range(num_units))
  words = [
    *(first[:k] + "S" * (num_units - k) for k in range(num_units + 1)),
    *("T" * k + first[k:] for k in range(1, num_units + 1)),
  ]
  return list(dict.fromkeys(words))


def bits(tree):
  return {name: np.asarray(leaf).tobytes() for name, leaf in flat(tree).items()}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
  directory = tmp_path_factory.mktemp("coarse") / "b"
  write(directory, trained("tiny_resnet"), teacher=MIXED)
  return directory


@pytest.mark.parametrize("precision", ["int8", "int4", "bfloat16"])
def test_a_unit_is_made_exact_bit_by_bit(precision):
  for unit in trained("tiny_resnet").variables["teacher"].values():
    leaves = {name: np.asarray(leaf) for name, leaf in flat(unit).items()}
    coarse = encode(leaves, precision)
    rest = rest_of_unit(leaves, coarse)
    assert bits(joined(coarse, rest, leaves)) == bits(leaves)
    assert bits(decode(coarse, {n: a.shape for n, a in leaves.items()})) != (
      bits(leaves)
    )
    low = rest["low"].copy()
    low[0] ^= 1
    assert bits(joined(coarse, rest | {"low": low}, leaves)) != bits(leaves)


def test_a_unit_that_rounding_leaves_alone_has_no_rest():
  leaves = {"batch_stats/mean": np.ones(3, np.float32)}
  coarse = encode(leaves, "int8")
  assert rest_of_unit(leaves, coarse) == {}
  assert bits(joined(coarse, {}, leaves)) == bits(leaves)


@pytest.mark.parametrize("name", ["tiny_resnet", "tiny_vit", "tiny_audio"])
@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_the_teacher_comes_out_of_both_parts_bit_by_bit(tmp_path, name, store):
  case = trained(name)
  write(tmp_path / "b", case, teacher="int4+float32", store=store)
  bundle = open_bundle(tmp_path / "b")
  assert verify(tmp_path / "b") == []
  for unit, tree in case.variables["teacher"].items():
    assert bits(bundle.leaves(f"teacher/{unit}")) == bits(tree)
    held = {f"coarse/{unit}": bundle.leaves(f"coarse/{unit}")}
    read = []
    again = bundle.leaves(f"teacher/{unit}", read.append, held)
    assert bits(again) == bits(tree)
    assert sum(read) == bundle.manifest.pieces[f"rest/{unit}"].nbytes


def test_every_composition_answers_as_its_units_do(mixed, folder):
  """Converters and statistics are those of the teacher, coarse or not."""
  case = trained("tiny_resnet")
  precisions = of_texts("int8", MIXED, 3)
  served = case.rounded(precisions)
  raw = noise(case.input, 3)
  with open_model(mixed, cache_dir=folder) as model:
    words = compositions.every(3, precisions.coarse)
    assert len(words) == 18 and words == list(
      dict.fromkeys([*words, *model.manifest.compositions])
    )
    for word in words:
      model.upgrade(word, policy="every").wait()
      assert model.composition == word
      variables = served.improvements.applied(
        served.variables, compositions.in_full(word)
      )
      own = swapped(variables, served.variables["coarse"], word)
      golden = case.logits(
        own, to_network(raw, case.input), compositions.in_full(word)
      )
      assert_close(model(raw), golden, 1e-4)
    with pytest.raises(ValueError, match=r"unit 1 .* not there \(of units: 0"):
      model.upgrade("StS")


def swapped(variables, coarse, word):
  """Parameters of coarse units in the places of the teacher's."""
  teacher = dict(variables["teacher"])
  for i, letter in enumerate(word):
    if letter == compositions.COARSE:
      own = coarse[f"unit{i}"]["params"]
      teacher[f"unit{i}"] = {**teacher[f"unit{i}"], "params": own}
  return {**variables, "teacher": teacher}


def test_only_the_rest_is_read_for_a_unit_that_is_there_coarse(mixed, folder):
  with open_model(mixed, cache_dir=folder, keep_student=False) as model:
    pieces = model.manifest.pieces
    model.upgrade("tSS").wait()
    step = model.upgrade("TSS")  # Its converter and statistics are there.
    step.wait()
    assert step.progress.total_bytes == pieces["rest/unit0"].nbytes
    assert step.progress.loaded_bytes == step.progress.total_bytes
    assert model.resident_bytes == model.manifest.bytes_of("TSS")
    model.downgrade().wait()
    step = model.upgrade("TSS")  # At once: both parts.
    step.wait()
    assert step.progress.loaded_bytes == step.progress.total_bytes
    assert step.progress.total_bytes == model.manifest.bytes_to_read(
      [p for p in model.manifest.pieces_of("TSS") if "student" not in p]
    )


def test_the_way_up_is_coarse_first_and_ends_at_the_teacher(mixed, folder):
  with open_model(mixed, cache_dir=folder) as model:
    assert model.upgrade().wait() == "TTT"
    served = [e.composition for e in model.events if e.kind == "served"]
    assert served == model.manifest.ladder[1:] or tuple(served) == tuple(
      model.manifest.ladder[1:]
    )
    for unit in range(3):
      piece = model._serving.holdings[f"teacher/unit{unit}"]
      exact = trained("tiny_resnet").variables["teacher"][f"unit{unit}"]
      if unit != 1:
        assert bits(dict(piece.leaves)) == bits(exact)


def test_putting_together_can_be_given_up(mixed):
  bundle = open_bundle(mixed)
  parts = bundle.manifest.pieces["teacher/unit0"].made_of
  held = {part: bundle.leaves(part) for part in parts}
  seen = []

  def pace(nbytes):
    seen.append(nbytes)
    if len(seen) > 2:
      raise InterruptedError

  with pytest.raises(InterruptedError):
    bundle.leaves("teacher/unit0", pace, held)
  assert seen == [0, 0, 0]


def test_what_does_not_fit_in_full_is_served_coarse(tmp_path, folder):
  write(tmp_path / "b", trained("tiny_resnet"))
  with open_model(
    tmp_path / "b", cache_dir=folder, keep_student=False
  ) as model:
    model.upgrade().wait()
    budget = model.manifest.bytes_of("TTt")
    assert model.budget(budget).wait() == "TTt"
    most = budget + Memory(model.manifest).largest
    small = model.manifest.bytes_of("ttt")
    assert "t" in model.budget(small).wait()
    assert model.resident_bytes <= small
    assert model.budget(budget).wait() == "TTt"
    assert all(event.resident_bytes <= most for event in model.events[1:])


@pytest.mark.parametrize("store", ["orbax", "safetensors"])
def test_a_broken_part_is_named_and_what_serves_goes_on(
  tmp_path, folder, store
):
  directory = tmp_path / "b"
  write(directory, trained("tiny_resnet"), store=store)
  for part in ("coarse/unit1", "rest/unit1"):
    file = every_fault_is_named(directory, store, part, "teacher/unit1")
  with (
    broken(file, "a bit"),
    open_model(directory, cache_dir=folder, retries=0) as model,
  ):
    with pytest.raises(errors.LoadFailed, match="rest/unit1"):
      model.upgrade().wait()
    assert model.composition == "Ttt"
    model(noise(model.manifest.input, 2))


def edited(directory, change):
  path = directory / manifests.NAME
  found = json.loads(path.read_text())
  change(found["pieces"])
  found.pop("sha256")
  written = manifests.text.render({**found, "sha256": manifests._UNSIGNED})
  path.write_text(manifests._signed(written))


@pytest.mark.parametrize(
  "change,what",
  [
    (lambda p: p.pop("rest/unit0"), "pieces has no rest/unit0"),
    (lambda p: p.pop("coarse/unit2"), "has 'rest/unit2', which is no piece"),
    (lambda p: p["teacher/unit0"].pop("made_of"), "made_of has"),
    (
      lambda p: p["student/unit0"].update(made_of=["coarse/unit0"]),
      "student/unit0.made_of has",
    ),
    (lambda p: p["rest/unit0"]["programs"].update(run="0" * 64), "programs"),
  ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
  mixed, tmp_path, change, what
):
  directory = tmp_path / "b"
  directory.mkdir()
  text = (mixed / manifests.NAME).read_text()
  (directory / manifests.NAME).write_text(text)
  assert manifests.from_json(text).coarse == (0, 2)
  assert json.loads(text)["format"] == 2
  edited(directory, change)
  with pytest.raises(Damaged, match=what):
    manifests.read(directory)


def test_the_planner_equals_trying_every_ladder_of_both_precisions():
  rng = np.random.default_rng(0)
  for n, levels in itertools.product((1, 2, 3), (3, 1000)):
    for _ in range(20):
      coarse = {
        i: int(rng.integers(1, 30)) for i in range(n) if rng.random() < 0.7
      }
      sizes = [int(b) for b in rng.integers(30, 100, n)]
      words = compositions.every(n, coarse)
      drawn = rng.integers(0, levels, len(words)) / levels
      accuracy = dict(zip(words, drawn.tolist(), strict=True))
      tolerance = rng.choice([0.0, 0.3])
      ladders = list(all_ladders("S" * n, coarse))
      worths = [worth(ladder, accuracy, sizes, coarse) for ladder in ladders]
      limit = max(min(step for step, _ in worths), tolerance)
      area = max(area for step, area in worths if step <= limit)
      found = best_ladder(accuracy, sizes, coarse, tolerance=tolerance)
      assert worth(found.rungs, accuracy, sizes, coarse) == (
        pytest.approx(found.worst_step), pytest.approx(area)
      )  # fmt: skip
      assert found.worst_step <= limit
      assert found.mean_accuracy == pytest.approx(area / sum(sizes))


def all_ladders(word, coarse):
  if set(word) <= {"T"}:
    yield [word]
  for i, letter in enumerate(word):
    for higher in compositions.CLIMB[compositions.rank(letter) + 1 :]:
      if higher != "t" or i in coarse:
        above = word[:i] + higher + word[i + 1 :]
        yield from ([word, *rest] for rest in all_ladders(above, coarse))


def worth(rungs, accuracy, sizes, coarse):
  """(greatest step down, area), by definition."""
  steps, area = [0.0], 0.0
  for below, above in itertools.pairwise(rungs):
    loaded = [
      sum(
        {"S": 0, "t": coarse.get(i, 0), "T": sizes[i]}[letter]
        for i, letter in enumerate(word)
      )
      for word in (below, above)
    ]
    steps.append(accuracy[below] - accuracy[above])
    area += accuracy[below] * (loaded[1] - loaded[0])
  return max(steps), area


def test_of_many_units_those_that_a_ladder_meets_are_measured():
  ladder = compositions.ladder((1, 0, 2))
  assert with_coarse(compositions.every(3), ladder, {0, 1, 2}) == (
    compositions.every(3, range(3))
  )
  ladder, known = compositions.prefix(9), compositions.contiguous(9)
  found = with_coarse(known, ladder, {*range(1, 9)})
  assert found[: len(known)] == known and len(found) == len(set(found))
  for word in ("T" + "t" * 8, "TTttSSSSS", "TTTTTTTTt", "TTtttSSSS"):
    assert word in found
  assert not any(word[0] == "t" for word in found)
  accuracy = {word: compositions.height(word) / 18 for word in found}
  best = best_ladder(accuracy, [9] * 9, dict.fromkeys(range(1, 9), 2))
  assert best.rungs[9] == "T" + "t" * 8  # All coarse before any is refined.


def test_what_may_make_a_better_ladder_is_asked_for_until_it_is_known():
  """Of six units with two precisions, against a ladder over all 729 words."""
  rng = np.random.default_rng(3)
  n, coarse = 6, dict.fromkeys(range(6), 3)
  gains, losses = rng.uniform(0, 0.1, n), rng.uniform(0, 0.02, n)

  def accuracy_of(word):
    switches = sum(
      compositions.is_switch(a, b) for a, b in itertools.pairwise(word)
    )
    gained = sum(g for g, a in zip(gains, word, strict=True) if a != "S")
    lost = sum(x for x, a in zip(losses, word, strict=True) if a == "t")
    return 0.3 + gained - lost - 0.005 * switches

  table = {w: accuracy_of(w) for w in compositions.every(n, coarse)}
  first = with_coarse(compositions.every(n), compositions.prefix(n), coarse)
  known = {word: table[word] for word in first}
  assert len(known) < 100
  while more := wishes(known, [10] * n, coarse):
    known |= {word: table[word] for word in more}
  found, best = (best_ladder(of, [10] * n, coarse) for of in (known, table))
  assert len(known) < 150
  assert found.worst_step == pytest.approx(best.worst_step)
  assert found.mean_accuracy == pytest.approx(best.mean_accuracy, abs=1e-3)


def test_neighbours_of_a_ladder_of_both_precisions():
  rungs = ["SS", "tS", "tt", "Tt", "TT"]
  assert neighbours(rungs) == ["St", "TS", "tT"]
  assert neighbours(["SS", "tS", "TS", "TT"]) == ["tT"]


def test_the_standard_error_is_that_of_a_share():
  rng = np.random.default_rng(0)
  shares = rng.binomial(400, 0.8, 20_000) / 400
  assert standard_error(0.8, 400) == pytest.approx(shares.std(), rel=0.05)


def test_a_run_is_exported_coarse_then_exact(tmp_path):
  config, workdir = get_config(), tmp_path / "run"
  config.stages = "teacher,distill,evaluate,export"
  config.export.platforms = ("cpu",)
  config.export.student, config.export.teacher = "int8", EVERY
  stages.run(config, workdir)
  found = manifests.read(workdir / "bundle")
  assert found.compositions.keys() == {*compositions.every(3, range(3))}
  assert all(
    composition.test is not None for composition in found.compositions.values()
  )
  assert found.ladder[0] == "SSS" and found.ladder[-1] == "TTT"
  for word, known in found.compositions.items():
    full = found.compositions[compositions.in_full(word)]
    assert known.calibrated == full.calibrated
  config.export.teacher = "int8+bfloat16"
  with pytest.raises(ValueError, match=r"teacher.*int8\+float32"):
    stages.run(config, workdir)
  config.export.teacher, config.export.student = "int8", EVERY
  with pytest.raises(ValueError, match="precision of the student"):
    stages.run(config, workdir)
