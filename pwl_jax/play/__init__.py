"""Shows what progressive loading is worth: a stream of requests, live.

  python -m pwl_jax.play --bundle=runs/digits/bundle --bandwidth=200kB/s

session     serves a bundle while it is upgraded, and records all of it
stream      requests at a steady rate, whether or not they are answered in time
examples    the test images that are asked about, or noise
alone       the teacher loaded plainly, in a fresh process, to compare with
timeline    what was recorded, as play.json has it
screen      how it looks on a terminal, or line by line without one
quantities  "20MB/s" and "200/s"

The picture and the form of play.json are the report's (report.timeline,
report.served), which shows them again.
"""
