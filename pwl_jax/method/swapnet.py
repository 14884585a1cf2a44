"""The swap network: teacher, student and the converters between them.

Its variables are keyed network -> unit -> collection, where the networks are
`teacher` and `student` and `converters` holds one entry per boundary (empty
where widths are equal). `coarse` may hold units of the teacher in fewer bits,
for compositions such as "TtSS".

  swapnet = SwapNet.create(teacher, student)
  variables = swapnet.init(jax.random.key(0))
  logits = swapnet.logits(variables, images, "TTSS")

The teacher always runs in evaluation mode; `train` speaks of the student.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from pwl_jax.method import composition as compositions
from pwl_jax.method import converters as conv
from pwl_jax.method.feature import Feature, values_of, with_values
from pwl_jax.method.network import (
  Network,
  Pass,
  Variables,
  apply_unit,
  unit_key,
  unit_name,
)
from pwl_jax.method.pairing import boundary_widths


def boundary_name(index: int) -> str:
  """Boundary i lies between unit i and unit i + 1."""
  return f"boundary{index}"


@dataclasses.dataclass(frozen=True)
class SwapNet:
  """Two networks of N units each and the N - 1 converters between them."""

  teacher: Network
  student: Network
  converters: tuple[nn.Module, ...]

  def __post_init__(self):
    object.__setattr__(self, "converters", tuple(self.converters))
    units = self.teacher.num_units, self.student.num_units
    if units != (len(self.converters) + 1,) * 2:
      raise ValueError(
        f"a teacher of {units[0]} units, a student of {units[1]} and "
        f"{len(self.converters)} converters do not fit; both need as many "
        "units, and a converter between each two"
      )

  @classmethod
  def create(
    cls,
    teacher: Network,
    student: Network,
    converter: str | Sequence[str] = "auto",
  ) -> "SwapNet":
    """Checks that the two fit and makes their converters.

    `converter` is one of `converters.KINDS`, or one per boundary.
    """
    widths = boundary_widths(teacher, student)
    if isinstance(converter, str):
      converter = [converter] * len(widths)
    if len(converter) != len(widths):
      raise ValueError(
        f"{len(converter)} converters {tuple(converter)} do not fit "
        f"{len(widths)} boundaries; give one kind for all, or one per boundary"
      )
    return cls(
      teacher,
      student,
      tuple(
        conv.make_converter(kind, *pair, boundary=i)
        for i, (kind, pair) in enumerate(zip(converter, widths, strict=True))
      ),
    )

  @property
  def num_units(self) -> int:
    return self.teacher.num_units

  def init(
    self,
    key: jax.Array,
    *,
    teacher: Variables | None = None,
    student: Variables | None = None,
  ) -> dict[str, Any]:
    """Draws all variables; those of a network that exists stay as they are."""
    teacher_key, student_key, key = jax.random.split(key, 3)
    if teacher is None:
      teacher = self.teacher.init(teacher_key)
    if student is None:
      student = self.student.init(student_key)
    return {
      "teacher": teacher,
      "student": student,
      "converters": self.init_converters(key),
    }

  def abstract_variables(self) -> dict[str, Any]:
    """Shapes and dtypes of what `init` draws, without computing any."""
    return {
      "teacher": self.teacher.abstract_variables(),
      "student": self.student.abstract_variables(),
      "converters": jax.eval_shape(self.init_converters, jax.random.key(0)),
    }

  def init_converters(self, key: jax.Array) -> dict[str, Any]:
    shapes = self.teacher.shapes()
    return {
      boundary_name(i): converter.init(
        jax.random.fold_in(key, i), jnp.zeros((1, *shapes[i]))
      )
      for i, converter in enumerate(self.converters)
    }

  def fit_converters(self, variables: Variables, x: jax.Array) -> dict:
    """Converter variables by least squares on the features of one batch."""
    teacher = self.teacher.apply(variables["teacher"], x).features
    student = self.student.apply(variables["student"], x).features
    return {
      boundary_name(i): converter.fit(teacher[i], student[i])
      for i, converter in enumerate(self.converters)
    }

  def has_converter(self, i: int) -> bool:
    """Whether features change at boundary i on their way across."""
    return not isinstance(self.converters[i], conv.IdentityConverter)

  def encode(self, variables: Variables, i: int, feature: Feature) -> Feature:
    """Teacher's width -> student's, at boundary i."""
    return self._apply_converter("encode", variables, i, feature)

  def decode(self, variables: Variables, i: int, feature: Feature) -> Feature:
    """Student's width -> teacher's, at boundary i."""
    return self._apply_converter("decode", variables, i, feature)

  def convert(
    self, variables: Variables, i: int, letter: str, feature: Feature
  ) -> Feature:
    """To the width of the network that `letter` names, at boundary i."""
    to = self.encode if letter == compositions.STUDENT else self.decode
    return to(variables, i, feature)

  def compose(
    self,
    variables: Variables,
    x: jax.Array,
    composition: str,
    *,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> Pass:
    """Runs one composition, the same for the whole batch.

    A feature is kept as the unit before its boundary made it, unconverted.
    """
    self.check_composition(variables, composition)
    self.teacher.check_input(x)
    return self.run_units(
      variables, x, composition, start=0, train=train, key=key
    )

  def check_composition(self, variables: Variables, composition: str):
    """Raises unless there are variables for all of its units."""
    coarse = variables.get(compositions.GROUPS[compositions.COARSE], {})
    compositions.validate(
      composition,
      self.num_units,
      [i for i in range(self.num_units) if unit_name(i) in coarse],
    )

  def run_units(
    self,
    variables: Variables,
    feature: Feature,
    composition: str,
    *,
    start: int,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> Pass:
    """Runs units `start`.. of a composition on the feature before `start`.

    The feature comes from the network of unit start - 1, which is how
    compositions that begin alike share their beginning.
    """
    outputs, batch_stats = [], {}
    for i in range(start, self.num_units):
      letter = composition[i]
      if i and compositions.is_switch(letter, composition[i - 1]):
        feature = self.convert(variables, i - 1, letter, feature)
      feature, stats = self.run_unit(
        variables, i, letter, feature, train=train, key=key
      )
      batch_stats.update(stats)
      outputs.append(feature)
    return Pass(outputs[-1], tuple(outputs[:-1]), batch_stats)

  def run_unit(
    self,
    variables: Variables,
    i: int,
    letter: str,
    feature: Feature,
    *,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> tuple[Feature, dict[str, Any]]:
    """Unit i of the network that `letter` names; its output and new stats.

    The stats are keyed by unit, and empty where the unit did not train.
    """
    train = train and letter == compositions.STUDENT
    unit, own = self.unit(variables, i, letter)
    output, stats = apply_unit(
      unit, own, feature, train=train, key=unit_key(key, i)
    )
    return output, ({unit_name(i): stats} if train else {})

  def unit(
    self, variables: Variables, i: int, letter: str
  ) -> tuple[nn.Module, Variables]:
    """Unit i of the network that `letter` names, and its variables."""
    is_student = letter == compositions.STUDENT
    network = self.student if is_student else self.teacher
    own = variables[compositions.GROUPS[letter]]
    return network.units[i], own[unit_name(i)]

  def logits(
    self, variables: Variables, x: jax.Array, composition: str
  ) -> jax.Array:
    """[b, *input_shape] -> [b, k] by a composition such as "TTSS"."""
    return self.compose(variables, x, composition).logits

  def _apply_converter(
    self, method: str, variables: Variables, i: int, feature: Feature
  ) -> Feature:
    own = variables["converters"][boundary_name(i)]
    converter = self.converters[i]
    values = converter.apply(own, values_of(feature), method=method)
    return with_values(feature, values)
