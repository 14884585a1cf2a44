"""Serves a bundle: first answers at once, better ones while it loads.

model     what users call; snapshots, changes, the budget
snapshot  one composition and its arrays, which never change
requests  what a request may bring
programs  a program of the bundle, compiled by batch size
executables  what was compiled, kept between processes
holdings  the pieces in memory, verified as they are read
serving   what is served, and what it is built of
climber   the worker: pursues goals
steps     one step of that: loads, warms, publishes, lets go
reader    reads pieces, one ahead
background  threads that leave the processor to the requests
memory    what fits the budget
routes    which compositions to visit
upgrade   the handle of a change
events, errors   what happened, and what can go wrong
"""

from pwl_jax.runtime.model import Model, open_model

__all__ = ["Model", "open_model"]
