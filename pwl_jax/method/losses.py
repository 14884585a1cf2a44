"""The terms of the objective, one function each, one number per example.

Logits and features come in any float dtype; everything is float32 inside.
Sections and symbols follow the paper (arXiv 2509.22319): l_S, l_T logits of
student and teacher, s_i, t_i their features at boundary i, tau a temperature.
"""

import jax
import jax.numpy as jnp

from pwl_jax.method.feature import Feature, mask_of, values_of

# Norms below this count as zero, as in common implementations of the cosine.
COSINE_EPSILON = 1e-8


def hard_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """CE(l, y): [b, k], int[b] -> [b]; or labels as distributions, [b, k]."""
  log_q = jax.nn.log_softmax(logits.astype(jnp.float32))
  if labels.ndim == 2:
    return -jnp.sum(labels * log_q, axis=-1)
  return -jnp.take_along_axis(log_q, labels[:, None], axis=-1)[:, 0]


def check_temperature(temperature: float):
  if isinstance(temperature, int | float) and temperature <= 0:
    raise ValueError(
      f"temperature must be positive, got {temperature}; the paper's is 2"
    )


def soft_loss(
  logits: jax.Array, teacher_logits: jax.Array, *, temperature: float
) -> jax.Array:
  """tau^2 KL(softmax(l_T / tau) || softmax(l / tau)): [b, k] x 2 -> [b].

  The factor tau^2 keeps the size of the gradients as tau changes.
  """
  check_temperature(temperature)
  log_p, log_q = (
    jax.nn.log_softmax(x.astype(jnp.float32) / temperature)
    for x in (teacher_logits, logits)
  )
  return temperature**2 * jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def decoupled_loss(
  logits: jax.Array,
  teacher_logits: jax.Array,
  labels: jax.Array,
  *,
  temperature: float,
  others_weight: float,
) -> jax.Array:
  """The soft loss in its two parts, the second with a weight: -> [b].

  KL(p || q) is KL of (p_y, 1 - p_y), how sure of the label y, plus 1 - p_y
  times KL among the other classes. So the surer a teacher, the less it says of
  these; with `others_weight` in place of 1 - p_y it does (arXiv 2203.08679).
  """
  check_temperature(temperature)
  log_p, log_q = (
    jax.nn.log_softmax(x.astype(jnp.float32) / temperature)
    for x in (teacher_logits, logits)
  )
  labels = labels.argmax(-1) if labels.ndim == 2 else labels
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  rest_p, rest_q = (
    jax.nn.logsumexp(x, axis=-1, where=~own, keepdims=True)
    for x in (log_p, log_q)
  )
  # The label's share of the others is 0 before the exponential, not behind it:
  # that of a teacher who is sure of it would be too large for a float.
  others = jnp.exp(jnp.where(own, -jnp.inf, log_p - rest_p))
  among = jnp.sum(others * (log_p - log_q - rest_p + rest_q), axis=-1)
  sure = jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1, where=own)
  unsure = jnp.sum(jnp.exp(rest_p) * (rest_p - rest_q), axis=-1)
  return temperature**2 * (sure + unsure + others_weight * among)


def distance(a: Feature, b: Feature) -> jax.Array:
  """Mean squared difference plus 1 - cosine: [b, ...] x 2 -> [b].

  The cosine is of whole examples, flattened; padding is no part of them.
  """
  mask = mask_of(a)
  a, b = (values_of(f).astype(jnp.float32) for f in (a, b))
  size = a[0].size
  if mask is not None:
    a, b = (jnp.where(mask[..., None], f, 0) for f in (a, b))
    size = jnp.maximum(jnp.sum(mask, axis=-1), 1) * a.shape[-1]
  a, b = (f.reshape(f.shape[0], -1) for f in (a, b))
  squared = jnp.sum((a - b) ** 2, axis=-1) / size
  cosine = jnp.sum(a * b, axis=-1) * _inverse_norm(a) * _inverse_norm(b)
  return squared + 1 - cosine


def _inverse_norm(a: jax.Array) -> jax.Array:
  # The maximum is inside the root, so an all-zero feature has no NaN gradient.
  return jax.lax.rsqrt(jnp.maximum(jnp.sum(a * a, axis=-1), COSINE_EPSILON**2))


def feature_loss(
  student: Feature,
  teacher: Feature,
  *,
  encoded: Feature,
  decoded: Feature,
) -> jax.Array:
  """d(s_i, enc_i(t_i)) + d(dec_i(s_i), t_i) at one boundary -> [b].

  In this order, as XLA then computes it once where no converter is between.
  """
  return distance(student, encoded) + distance(decoded, teacher)


def reconstruction_loss(
  student: Feature,
  teacher: Feature,
  *,
  student_trip: Feature,
  teacher_trip: Feature,
) -> jax.Array:
  """d(t_i, dec_i(enc_i(t_i))) + d(s_i, enc_i(dec_i(s_i))) -> [b]."""
  return distance(teacher, teacher_trip) + distance(student, student_trip)
