"""BERT and DistilBERT classifiers as `transformers` saves them.

Both are one network: post-norm layers, whose first position is the answer's,
through a dense layer before the head. All tokens are of one type: texts, not
pairs of them. Which tokens there are is in files beside the weights that are
not read here; the ids have to be those of the same tokeniser.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pwl_jax.interop.config import ForeignConfig
from pwl_jax.interop.layouts import SAME
from pwl_jax.interop.tensors import Leaf, Source, torch_source
from pwl_jax.method.network import Network
from pwl_jax.models import layers
from pwl_jax.models.activations import ACTIVATIONS
from pwl_jax.models.text import text

Locate = Callable[[Leaf], Source]
Inner = Mapping[tuple[str, ...], str]  # Our module inside a layer -> theirs.

# How the first published files call the two vectors of a LayerNorm.
OLDER = {"scale": "gamma", "bias": "beta"}


class Dialect(NamedTuple):
  """How one of the two calls its parts."""

  architecture: str
  options: Callable[[ForeignConfig], dict[str, Any]]  # Not the common ones.
  body: str
  layer: str  # In the body, with the number of a layer for {}.
  inner: Inner
  pooler: str


def _bert_options(config: ForeignConfig) -> dict[str, Any]:
  kind = config.get("position_embedding_type", "absolute")
  if kind != "absolute":
    raise ValueError(
      f"position_embedding_type is {kind!r}; only positions that are added to "
      'the tokens, "absolute", are read'
    )
  for name in ("is_decoder", "add_cross_attention"):
    if config.flag(name, False):
      raise ValueError(
        f"{name} is true; only encoders are read, which see a text whole"
      )
  return dict(
    width=config.integer("hidden_size"),
    heads=config.integer("num_attention_heads"),
    mlp_width=config.integer("intermediate_size"),
    num_layers=config.integer("num_hidden_layers"),
    activation=config.choose("hidden_act", ACTIVATIONS, "gelu"),
    norm_epsilon=config.number("layer_norm_eps", 1e-12),
    token_types=config.integer("type_vocab_size", 2),
    pooler="tanh",
  )


def _distilbert_options(config: ForeignConfig) -> dict[str, Any]:
  return dict(
    width=config.integer("dim"),
    heads=config.integer("n_heads"),
    mlp_width=config.integer("hidden_dim"),
    num_layers=config.integer("n_layers"),
    activation=config.choose("activation", ACTIVATIONS, "gelu"),
    norm_epsilon=1e-12,
    pooler="relu",
  )


BERT = Dialect(
  architecture="BertForSequenceClassification",
  options=_bert_options,
  body="bert",
  layer="encoder.layer.{}",
  inner={
    ("attention", "query"): "attention.self.query",
    ("attention", "key"): "attention.self.key",
    ("attention", "value"): "attention.self.value",
    ("attention", "out"): "attention.output.dense",
    ("norm1",): "attention.output.LayerNorm",
    ("mlp_in",): "intermediate.dense",
    ("mlp_out",): "output.dense",
    ("norm2",): "output.LayerNorm",
  },
  pooler="bert.pooler.dense",
)
DISTILBERT = Dialect(
  architecture="DistilBertForSequenceClassification",
  options=_distilbert_options,
  body="distilbert",
  layer="transformer.layer.{}",
  inner={
    ("attention", "query"): "attention.q_lin",
    ("attention", "key"): "attention.k_lin",
    ("attention", "value"): "attention.v_lin",
    ("attention", "out"): "attention.out_lin",
    ("norm1",): "sa_layer_norm",
    ("mlp_in",): "ffn.lin1",
    ("mlp_out",): "ffn.lin2",
    ("norm2",): "output_layer_norm",
  },
  pooler="pre_classifier",
)
DIALECTS = {"bert": BERT, "distilbert": DISTILBERT}  # By model_type.


def build_text(
  config: ForeignConfig,
  *,
  layers_per_unit: int | Sequence[int],
  dtype: layers.Dtype,
) -> tuple[Network, Locate, list[str]]:
  """The network, its tensors' names, and names that it has no use for."""
  dialect = DIALECTS[config.choose("model_type", DIALECTS)]
  _check_architecture(config, dialect)
  max_length = config.integer("max_position_embeddings", 512)
  units = text(
    vocab_size=config.integer("vocab_size"),
    max_length=max_length,
    pad_id=config.index("pad_token_id", 0),
    layers_per_unit=layers_per_unit,
    norm="post",
    pooling="first",
    num_classes=config.num_classes,
    dtype=dtype,
    **dialect.options(config),
  )
  network = Network(units, (max_length,), "int32")
  # Older files also count the positions.
  unused = [f"{dialect.body}.embeddings.position_ids"]
  return network, _locate(dialect, units), unused


def _check_architecture(config: ForeignConfig, dialect: Dialect):
  """Raises for the same encoder with another head, or with none."""
  problem = config.get("problem_type", None)
  if problem not in (None, "single_label_classification"):
    raise ValueError(
      f"problem_type is {problem!r}; only classifiers with one class per text "
      "are read, single_label_classification"
    )
  found = config.get("architectures", None)
  if found is not None and found != [dialect.architecture]:
    raise ValueError(
      f"architectures is {found!r}, and only {dialect.architecture} is read "
      "here; train or load it as that with transformers, and save it again"
    )


def _locate(dialect: Dialect, units) -> Locate:
  starts = list(itertools.accumulate((u.depth for u in units), initial=0))
  embeddings = f"{dialect.body}.embeddings"
  tables = {
    "words": "word_embeddings",
    "positions": "position_embeddings",
    "token_types": "token_type_embeddings",
  }

  def locate(leaf: Leaf) -> Source:
    match leaf.modules:
      case ("head",):
        module = "classifier"
      case ("pooler",):
        module = dialect.pooler
      case ("embed",):
        return Source([f"{embeddings}.{tables[leaf.name]}.weight"], SAME)
      case ("embed", "norm"):
        module = f"{embeddings}.LayerNorm"
      case (name, *inner):
        number = starts[leaf.unit] + int(name.removeprefix("layer"))
        layer = f"{dialect.body}.{dialect.layer.format(number)}"
        module = f"{layer}.{dialect.inner[tuple(inner)]}"
    source = torch_source(leaf, [module])
    if not leaf.modules[-1].startswith("norm"):
      return source
    older = f"{module}.{OLDER[leaf.name]}"
    return source._replace(names=[*source.names, older])

  return locate
