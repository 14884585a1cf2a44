"""What a trained swap network leaves behind for those who only serve it.

  programs   every unit and every conversion as a program of its own
  affine     orthogonal converters as the affine maps that they are

`pwl_jax.bundle.write` puts it on disk.
"""
