"""Values given at the call are what the same text in a config file would be."""

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.utils import update_config

from foldwise.study.command_line import type_values

FILE = {
    "run": "mine",
    "datasets": {"mp": {"source": "embedded", "max_atoms": 25}},
    "recipes": {"scratch": {"epochs": 20, "lr": 2.0e-3, "loss": "huber"}},
}


@pytest.mark.parametrize(
    "given",
    [
        "datasets={mp: {max_atoms: 8}}",
        "recipes={scratch: {epochs: 40, patience: 40, lr: 1.0e-3}}",
        "recipes={scratch: {loss: l1, soft_weights: [0.25, 1.0], cif: true}, e1: null}",
        "experiments={mine: {recipe: scratch, seeds: [0, 1], compare_with: [e0]}}",
        "run=other",
    ],
)
def test_values_within_braces_are_typed(given):
    config = yaml.safe_load(yaml.safe_dump(FILE))
    parsed = parse_config([given])
    update_config(config, parsed)
    type_values(config, parsed)
    wanted = yaml.safe_load(yaml.safe_dump(FILE))
    key, _, text = given.partition("=")
    update_config(wanted, {key: yaml.safe_load(text)})
    assert config == wanted
