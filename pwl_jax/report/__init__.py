"""What a person sees of a run's results, and of several runs side by side.

  write_report(workdir)  report.html and pictures, from results.json
  summary(results)       the same in short, for a terminal
  python -m pwl_jax.report RUN [RUN ...]

  results    the form of results.json, checked
  run        what a workdir holds, evaluated or not
  findings   what the numbers say, in sentences
  tables     the tables, as text; terminal and page show them
  families, arriving, lattice, curves, drawing   the pictures
  compare    several runs: groups of seeds, means and spreads

docs/report.md has the fields of results.json. Nothing here needs jax.
"""

from pwl_jax.report.terminal import summary
from pwl_jax.report.writing import write_report

__all__ = ["summary", "write_report"]
