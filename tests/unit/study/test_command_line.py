"""Values given at the call are what the same text in a config file would be."""

import shlex

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.utils import update_config

from foldwise.study.command_line import call_again, type_values

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


def test_a_study_is_called_again_as_it_was_called():
    """The words that the shell makes of the command are those of the call."""
    assert call_again([], {}) == "snakemake --cores 2"
    given = {"run": "my own", "splits": {"only": ["0"]}, "mlm_config": "a'b.yaml"}
    words = shlex.split(call_again(["my study.yaml"], given))
    assert words[:5] == ["snakemake", "--cores", "2", "--configfile", "my study.yaml"]
    assert words[5] == "--config"
    assert words[-1] == "--"
    pairs = (word.split("=", 1) for word in words[6:-1])
    assert {key: yaml.safe_load(value) for key, value in pairs} == given
