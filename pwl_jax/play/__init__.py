"""Shows what progressive loading is worth: a stream of requests, live.

  python -m pwl_jax.play --bundle=runs/digits/bundle --bandwidth=200kB/s

flags       what is asked for; nonsense is refused before any work
command     one show: before it, the show itself, and what is written
interrupts  Ctrl-C and SIGTERM end the show and lose nothing
session     serves a bundle while it is upgraded, and records all of it
stream      requests at a steady rate, whether or not they are answered in time
examples    the test examples that are asked about, or noise
alone       the teacher loaded plainly, in a fresh process, to compare with
caches      empty ones, for --cold
timeline    what was recorded, as play.json has it
writing     play.json and play.png, and where they go
scene       what there is to see at one moment, in words
screen      how it looks on a terminal
log         and line by line without one
conclusion  what stays when it is over
quantities  "20MB/s" and "200/s"

The picture and the form of play.json are the report's (report.timeline,
report.served), which shows them again.
"""
