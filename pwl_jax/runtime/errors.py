"""What can go wrong while a model gets better; it serves on in every case."""


class RuntimeFailure(Exception):
  """Of a change that was asked for. What was served before still is."""


class LoadFailed(RuntimeFailure):
  """A piece of the bundle could not be read, verified or put on the device."""


class BudgetExceeded(RuntimeFailure):
  """What was asked for does not fit into the memory that was granted."""


class Cancelled(RuntimeFailure):
  """Somebody changed their mind: a cancel, another goal, or close."""


class Closed(RuntimeFailure):
  """The model was closed and answers no more."""
