"""How good every composition is, and in which order to load the units.

tree    many compositions at once, sharing what they begin with
ladder  the best order of loading, and the best composition in a budget
"""
