"""What a trained swap network leaves behind for those who only serve it.

  pieces       what it is stored as, piece by piece
  programs     every unit and every conversion as a program of its own
  affine       orthogonal converters as the affine maps that they are
  checks       what is held before any of it is made
  description  the manifest of it all

`pwl_jax.bundle.write` puts it on disk.
"""
