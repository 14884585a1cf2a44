"""Fewer bytes for the same weights, and the way back to all of them.

  rounding  weights as int8 and int4, with their scales
  leaves    all leaves of a unit in a precision, and as float32 again
  fold      batch norms as what they come to, without their statistics
  exact     what is missing from a coarse leaf to the one that was trained
  refine    the same for all leaves of a unit
  sparse    arrays of mostly zeros, as the disk has them
  fit       scales that keep what layers give, rather than their weights
  fake      rounding inside of training, with gradients
  prune     fewer channels inside of units, or zeros for weights
  restore   batch norms of what was pruned

All but the last two are made of NumPy alone, so that a server may use them.
"""
