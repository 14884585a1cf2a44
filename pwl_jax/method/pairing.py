"""Whether two networks can be swapped unit by unit, and how wide they are."""

from pwl_jax.method.network import Network, unit_name


def boundary_widths(
  teacher: Network, student: Network
) -> list[tuple[int, int]]:
  """(teacher width, student width) per boundary of two networks that fit.

  Raises `ValueError` where they do not: other inputs, numbers of units or
  classes, or features whose positions do not line up.
  """
  _check_equal(
    "the input shape",
    teacher.input_shape,
    student.input_shape,
    "build both for the same input",
  )
  _check_equal(
    "the number of units",
    teacher.num_units,
    student.num_units,
    "cut both into equally many units",
  )
  _check_equal(
    "what one input consists of",
    teacher.input_dtype,
    student.input_dtype,
    "build both for the same input",
  )
  shapes = list(zip(teacher.shapes(), student.shapes(), strict=True))
  *boundaries, (teacher_logits, student_logits) = shapes
  for i, (t, s) in enumerate(boundaries):
    _check_equal(
      f"the feature shape at boundary {i} (without channels)",
      t[:-1],
      s[:-1],
      f"change the strides or pooling of the units up to {unit_name(i)}, since "
      "converters change channels alone",
    )
  _check_equal(
    "the shape of the logits", teacher_logits, student_logits,
    "give both heads the same classes",
  )  # fmt: skip
  return [(t[-1], s[-1]) for t, s in boundaries]


def _check_equal(what: str, teacher, student, remedy: str):
  if teacher != student:
    raise ValueError(
      f"teacher and student must agree in {what}: the teacher has {teacher}, "
      f"the student {student}; {remedy}"
    )
