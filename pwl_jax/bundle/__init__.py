"""The bundle: a directory that a trained swap network is served from.

  parts     what a bundle consists of
  inputs    what it answers: images, texts or sounds
  manifest  what lies in one, and what every array of it was
  reading   pieces and programs out of a bundle, verified
  verify    whether everything in it is what was written
  inspect   a page on it for the terminal
  write     a bundle from a trained swap network
  fields, valid, forms   what a manifest may say
  stores, storing        arrays off the disk, and onto it
  orbax_store, safetensors_store   the two kinds of store
  memory                 what arrays are read into
  files                  regular files, and no others
  placing, ours          a directory that is there whole or not at all, and
                         what it may take the place of
  names, text            leaves by their paths; text that people read

A *piece* is what is stored, read and swapped alone: one unit of one network,
the converter of a boundary, or the batch statistics of calibrated
compositions. Everything but `write` serves, and needs nothing of training:

  python -m pwl_jax.bundle inspect runs/digits/bundle
  python -m pwl_jax.bundle verify runs/digits/bundle
"""
