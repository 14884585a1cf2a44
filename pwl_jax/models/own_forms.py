"""Layers without their biases, in forms of our own on a CPU.

What such a layer does is linear in its input and in its kernel, so that it and
its gradients are three products. Other backends keep XLA's.
"""

import jax


def with_own_forms(native, *, by_kernel, apply=None, by_input=None):
  """native(x, kernel), of which a CPU computes in other forms what is given.

  apply(x, kernel) stands for native; by_input(cotangent, kernel) and
  by_kernel(x, cotangent) are its gradients, the latter with the numbers of the
  kernel in any shape and dtype.
  """

  def forward(x, kernel):
    return _on_cpu(apply, native, x, kernel)

  @jax.custom_vjp
  def own(x, kernel):
    return forward(x, kernel)

  def backward(saved, cotangent):
    x, kernel = saved

    def shaped(x, cotangent):
      return by_kernel(x, cotangent).reshape(kernel.shape).astype(kernel.dtype)

    def native_by_input(cotangent, kernel):
      return jax.vjp(lambda x: native(x, kernel), x)[1](cotangent)[0]

    def native_by_kernel(x, cotangent):
      return jax.vjp(lambda kernel: native(x, kernel), kernel)[1](cotangent)[0]

    return (
      _on_cpu(by_input, native_by_input, cotangent, kernel),
      _on_cpu(shaped, native_by_kernel, x, cotangent),
    )

  own.defvjp(lambda x, kernel: (forward(x, kernel), (x, kernel)), backward)
  return own


def _on_cpu(own, native, *arrays):
  if own is None:
    return native(*arrays)
  return jax.lax.platform_dependent(*arrays, cpu=own, default=native)
