"""Serves a stream of test examples while the bundle is upgraded, and shows it.

  python -m pwl_jax.play --bundle=runs/digits/bundle --bandwidth=200kB/s

It writes what happened as play.json and play.png: how long the first answer
took, how good the answers were by when, and how long the teacher alone would
have taken. The report of the run takes them in.
"""

import sys
from collections.abc import Sequence

from pwl_jax.play.interrupts import Interrupts


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit code."""
  interrupts = Interrupts()
  with interrupts.caught():
    try:
      # Here, as a Ctrl-C may come while jax is imported.
      from pwl_jax.play import command, flags

      return command.play(flags.read(arguments, __doc__), interrupts)
    except (ValueError, OSError) as error:
      print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
      interrupts.only_note()
      print("ended before anything was recorded", file=sys.stderr)
      return interrupts.exit_code
  return 1


if __name__ == "__main__":
  sys.exit(main())
