"""Training: pure per-device steps, and what goes on around them.

job           what is trained, apart from where and on what
kinds         the jobs of the pipeline
running       runs a job, from first variables to its artefact
session       what all jobs of one command share
planning      what a recipe, the data and the machine mean together
recipe        how something is trained, in plain numbers
optimizers    optax chains from plain arguments
losses        what a job minimises, in one form
step          one training step of one device
parallel      that step on all devices
loop          steps, reports, evaluations, checkpoints
accuracy      a whole split, where every example counts once
checkpoints   those of a run that goes on
trees         arrays on disk, verified by digest
artefacts     what a complete job leaves
interruption  signals that ask for the end
distributed   several processes as one run
reporting     metrics to files and to the terminal
profiling     a trace of some steps
large_pages   of memory, for steps on a CPU
"""
