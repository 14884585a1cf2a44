"""How good every composition is, and in which order to load the units.

scores  all compositions on a split, in one pass
tree    many compositions of one batch, sharing what they begin with
cost    bytes and operations of a composition
ladder  the best order of loading, and the best composition in a budget
"""
