"""Recipes by name: the fields they set, and those they leave."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pwl_jax import stages
from pwl_jax.config import default_config, with_recipe
from pwl_jax.method.converters import make_converter
from pwl_jax.method.losses import distance
from pwl_jax.method.options import Options
from pwl_jax.recipes import DEFAULT, RECIPES
from pwl_jax.training.recipe import Recipe, make_tx
from pwl_jax.workdirs import flat
from tests.tiny_config import get_config


def fields_of(config):
  return flat(config.to_dict())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_the_fields_that_it_names_and_no_other(name):
  config = default_config()
  config.recipe = name
  before = fields_of(config)
  after = fields_of(with_recipe(config))
  named = dict(RECIPES[name].fields)
  assert after == before | named
  assert all(before[field] != value for field, value in named.items())
  assert RECIPES[name].says
  # It makes an objective, with the cross mode that goes with it.
  mode = "all" if after["cross"] == "all" else "random"
  objective = {
    field.partition(".")[2]: value
    for field, value in after.items()
    if field.startswith("objective.")
  }
  Options(**objective, cross_mode=mode)


def test_recipes_differ():
  fields = [tuple(sorted(recipe.fields.items())) for recipe in RECIPES.values()]
  assert len(set(fields)) == len(fields)
  assert RECIPES[DEFAULT].fields == {}


def test_what_was_set_by_hand_stays():
  config = default_config()
  config.recipe, config.cross = "paper", "all"
  config.objective.stats_rule = "student"
  found = with_recipe(config)
  assert found.cross == "all" and found.objective.stats_rule == "student"
  assert found.fit_converters is False
  # And once more changes nothing: a config that was saved can be read again.
  assert fields_of(with_recipe(found)) == fields_of(found)


def test_an_unknown_recipe_is_refused():
  config = default_config()
  config.recipe = "papre"
  with pytest.raises(ValueError, match="did you mean 'paper'"):
    with_recipe(config)


@pytest.mark.parametrize("clipped", [False, True])
def test_clipping_keeps_fast_converters_from_running_away(clipped):
  """Where features are large; without clipping they do."""
  fields = default_config().distill.to_dict()
  fields |= {"epochs": 1} | ({} if clipped else {"clip_norm": 0.0})
  tx = make_tx(Recipe(**fields), steps_per_epoch=50)
  rng = np.random.default_rng(0)
  noise = (rng.normal(size=(64, 16, width)) for width in (32, 6))
  teacher, student = (jnp.asarray(np.maximum(x, 0), jnp.float32) for x in noise)
  teacher *= 10
  converter = make_converter("linear", 32, 6)
  params = {"converters": converter.init(jax.random.key(0), teacher)["params"]}

  @jax.jit
  def loss(params):
    maps = {"params": params["converters"]}
    encoded = converter.apply(maps, teacher, method="encode")
    decoded = converter.apply(maps, encoded, method="decode")
    return jnp.mean(distance(teacher, decoded) + distance(student, encoded))

  first, state = loss(params), tx.init(params)
  for _ in range(50):
    updates, state = tx.update(jax.grad(loss)(params), state, params)
    params = optax.apply_updates(params, updates)
  assert (loss(params) < first / 2) == clipped  # False if it is NaN.


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(tmp_path, name):
  config = get_config()
  config.stages, config.recipe = "teacher,distill", name
  stages.run(config, tmp_path)
  kept = json.loads((tmp_path / "distill" / "config.json").read_text())
  for field, value in RECIPES[name].fields.items():
    assert kept[field] == value


def test_the_documents_have_all_of_them():
  text = pathlib.Path(__file__).parents[1] / "docs" / "training.md"
  rows = [row for row in text.read_text().splitlines() if row[:3] == "| `"]
  for name, recipe in RECIPES.items():
    (row,) = (row for row in rows if row.startswith(f"| `{name}` |"))
    for field, value in recipe.fields.items():
      told = f"{value:g}" if isinstance(value, float) else value
      assert f"`{field}={told}`" in row
