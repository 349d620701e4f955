"""The study as the config files describe it, checked before the first job.

A study file is laid over `config/config.yaml`; an experiment or a recipe set to `null` is taken
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.schemas import SCHEMAS, check_config
from foldwise.network.machine import parse_engine
from foldwise.study.checks import check_known, check_names
from foldwise.study.recipe import Recipe, parse_recipe
from foldwise.study.recorded_teachers import is_combination, parse_recorded, selected
from foldwise.study.rules import parse_decisions, parse_series
from foldwise.study.study import Experiment, Study

SCHEMA = SCHEMAS / "config.schema.json"


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a config and resolve its recipes.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or a name that does not
            exist.
    """
    whole = config
    config = selected(config)
    check_config(config, SCHEMA)
    named = set(whole["experiments"])
    recipes = _recipes(
        {name: value for name, value in config["recipes"].items() if value is not None}
    )
    experiments = {
        name: _experiment(name, value)
        for name, value in config["experiments"].items()
        if value is not None and not is_combination(value)
    }
    datasets = {name: dict(value) for name, value in config["datasets"].items() if value}
    check_known(config["task"], datasets, "task")
    for name, dataset in datasets.items():
        if dataset["source"] != "targets" and (dataset["source"] == "file") != ("path" in dataset):
            raise FoldwiseError(
                "a path belongs to source: file, and to no other",
                where=f"datasets.{name}.path",
                hint="Give the path of a Matbench-format json.gz, or change the source.",
            )
    engine = dict(config["engine"])
    together = _flag(engine.pop("seeds_together"))
    engine["deterministic"] = _flag(engine["deterministic"])
    # YAML reads a bare yes or no as a truth value.
    engine["compiled"] = {True: "yes", False: "no"}.get(engine["compiled"], engine["compiled"])
    recorded = parse_recorded(config)
    parents = {name: entry.compare_with for name, entry in experiments.items()}
    parents |= {name: entry.compare_with for name, entry in recorded.combinations.items()}
    study = Study(
        run=config["run"],
        task=config["task"],
        datasets=datasets,
        splits=dict(config["splits"]),
        copies=dict(config["copies"]),
        report=dict(config["report"]),
        recipes=recipes,
        experiments=experiments,
        recorded=recorded,
        views=dict(config["views"]),
        decisions=parse_decisions(config["decisions"], parents, named),
        series=parse_series(config["series"], experiments, named),
        force=_flag(config["force"]),
        engine=parse_engine(engine, where="engine"),
        seeds_together=together,
    )
    check_names(study)
    return study


def _flag(value: bool | str) -> bool:
    """A switch; Snakemake hands `--config force=true` over as text."""
    return value in (True, "true")


def _recipes(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    return {name: parse_recipe(_extended(name, raw, ()), where=f"recipes.{name}") for name in raw}


def _extended(
    name: str, raw: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]
) -> dict[str, Any]:
    """Options of a recipe laid over those of the one that it extends."""
    if name not in list(raw) or name in seen:
        problem = "extends itself" if name in seen else f"unknown recipe {name!r}"
        raise FoldwiseError(
            problem, where=f"recipes.{seen[-1]}.extends", hint=f"Allowed: {', '.join(raw)}."
        )
    options = dict(raw[name])
    base = options.pop("extends", None)
    return options if base is None else {**_extended(base, raw, (*seen, name)), **options}


def _experiment(name: str, value: Mapping[str, Any]) -> Experiment:
    return Experiment(
        name=name,
        recipe=value["recipe"],
        seeds=tuple(value["seeds"]),
        title=value["title"],
        purpose=value["purpose"],
        compare_with=tuple(value.get("compare_with", ())),
        tta=value.get("tta", 1),
    )
