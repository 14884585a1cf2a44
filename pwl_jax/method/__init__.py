"""The method of progressive weight loading: pure functions of arrays.

  network      a network as a chain of units
  pairing      whether two networks fit each other
  converters   the bridges between the teacher's and the student's widths
  composition  which network each unit comes from; families and ladders
  sampling     random compositions, drawn from PRNG keys
  swapnet      teacher, student and converters; any one composition of them
  mixed        many compositions in one batch, compiled once
  cross        the passes of half-replaced networks that training sees
  losses       one function per term
  objective    the weighted terms over one batch
  options      its constants and choices
  variables    views of the tree that all of these share

Nothing here reads files, knows configs or loops over data. It imports jax,
flax and itself; a test holds it to that.
"""
