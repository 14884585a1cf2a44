"""What can go wrong while a model gets better; it serves on in every case."""


class RuntimeFailure(Exception):
  """Of a change that was asked for. What was served before still is."""


class LoadFailed(RuntimeFailure):
  """Part of the bundle cannot be read, verified, compiled or kept in memory."""

  def __init__(self, message: str, piece: str = ""):
    super().__init__(message)
    self.piece = piece  # That it is about, if it is about one.


class BudgetExceeded(RuntimeFailure):
  """What was asked for does not fit into the memory that was granted."""


class Cancelled(RuntimeFailure):
  """Somebody changed their mind: a cancel, another goal, or close."""


class Closed(RuntimeFailure):
  """The model was closed and answers no more."""

  def __init__(self):
    super().__init__("the model is closed; open the bundle again")


def without_frames(error: RuntimeFailure) -> RuntimeFailure:
  """Without what its frames hold: arrays of a unit, a whole snapshot."""
  link: BaseException | None = error
  while link is not None:
    link.__traceback__ = None
    link = link.__cause__ or link.__context__
  return error


def in_a_line(error: BaseException) -> str:
  """Also of errors that bring no text, such as most of MemoryError."""
  lines = str(error).strip().splitlines()
  return lines[0] if lines else type(error).__name__
