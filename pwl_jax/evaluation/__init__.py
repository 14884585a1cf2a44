"""How good every composition is, and in which order to load the units.

examine       what is measured, and what is chosen by it
bench         one swap network on one machine's data
words         which compositions to measure
tree          many compositions of one batch, sharing what they begin with
scores        all compositions on a split, in one pass
calibration   batch statistics for half-replaced networks
refit         converters fitted once more, after training
improvements  both, on disk
cost          bytes and operations of a composition
ladder        the best order of loading, and the best composition in a budget
numbers       all of it as JSON has it
progress      how far it is
"""
