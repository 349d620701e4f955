"""The study as the config files describe it, checked before the first job.

A study file is laid over `config/config.yaml`; an experiment or a recipe set to `null` is taken
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.schemas import SCHEMAS
from foldwise.common.settings import checked, with_defaults
from foldwise.network.machine import EngineSettings
from foldwise.study.checks import check_known, check_names
from foldwise.study.declaration import Dataset, StudyFile
from foldwise.study.recipe import Recipe, parse_recipe
from foldwise.study.recorded_teachers import TARGETS_SOURCE, parse_recorded, selected
from foldwise.study.rules import parse_decisions, parse_series
from foldwise.study.study import Experiment, Study, WrittenExperiment

SCHEMA = SCHEMAS / "config.schema.json"


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a config and resolve its recipes.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or a name that does not
            exist.
    """
    written = selected(config)
    declared = checked(StudyFile, written)
    named = set(config["experiments"])
    datasets = {
        name: with_defaults(entry, written["datasets"][name])
        for name, entry in declared.datasets.items()
        if entry
    }
    check_known(declared.task, datasets, "task")
    for name, dataset in declared.datasets.items():
        if dataset and dataset.source != TARGETS_SOURCE:
            _check_path(dataset, f"datasets.{name}.path")
    recipes = _recipes(
        {name: value for name, value in written["recipes"].items() if value is not None}
    )
    experiments = {
        name: Experiment(
            name=name, **{"replicates": declared.replicates, **_without_none(vars(entry))}
        )
        for name, entry in declared.experiments.items()
        if isinstance(entry, WrittenExperiment)
    }
    engine = asdict(declared.engine)
    together = engine.pop("seeds_together")
    recorded = parse_recorded(written, declared.experiments)
    parents = {name: entry.compare_with for name, entry in experiments.items()}
    parents |= {name: entry.compare_with for name, entry in recorded.combinations.items()}
    study = Study(
        run=declared.run,
        task=declared.task,
        datasets=datasets,
        splits=with_defaults(declared.splits, written["splits"]),
        copies=with_defaults(declared.copies, written["copies"]),
        report=with_defaults(declared.report, written["report"]),
        recipes=recipes,
        experiments=experiments,
        recorded=recorded,
        views=with_defaults(declared.views, written["views"]),
        decisions=parse_decisions(declared.decisions, parents, named),
        series=parse_series(declared.series, experiments, named),
        force=declared.force,
        engine=EngineSettings(**engine),
        seeds_together=together,
    )
    check_names(study)
    return study


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_path(dataset: Dataset, where: str) -> None:
    if (dataset.source == "file") != (dataset.path is not None):
        raise FoldwiseError(
            "a path belongs to source: file, and to no other",
            where=where,
            hint="Give the path of a Matbench-format json.gz, or change the source.",
        )


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
