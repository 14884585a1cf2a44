"""What a person sees of a run's results, and of several runs side by side.

  write_report(workdir)  report.html and pictures, from results.json
  summary(results)       the same in short, for a terminal
  python -m pwl_jax.report RUN [RUN ...]

  schema, forms    the form of results.json, field by field
  results          reads and checks it
  served           the same of play.json, which pwl_jax.play writes
  precisions       the same of precisions.json, of the stage with that name
  run, stages      what a workdir holds, evaluated or not, and whether it is new
  findings         what the numbers say, in sentences
  table, tables, folded                the tables, for page and terminal
  families, loading, serving, lattice, memory, fewer_bits, curves  pictures
  drawing, axes, latency, theme, style how they look
  page, blocks, headline, terminal, writing    how they leave
  compare, compare_*                   several runs: groups, means, spreads
  places           where a comparison may be written

docs/report.md has the fields of results.json. Nothing here needs jax.
"""

from pwl_jax.report.terminal import summary
from pwl_jax.report.writing import write_report

__all__ = ["summary", "write_report"]
