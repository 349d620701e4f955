"""The study as the config files describe it, checked before the first job.

A study file is laid over `config/config.yaml`; an experiment or a recipe set to `null` is taken
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.schemas import SCHEMAS
from foldwise.common.settings import checked, with_defaults
from foldwise.study.checks import check_known, check_names
from foldwise.study.declaration import Dataset, StudyFile
from foldwise.study.kinds import parse_any
from foldwise.study.outside.mixed import parse_mixed
from foldwise.study.passes import with_derived_epochs
from foldwise.study.recorded_teachers import TARGETS_SOURCE, parse_recorded, selected
from foldwise.study.rules import parse_decisions, parse_series
from foldwise.study.search import with_candidates
from foldwise.study.study import Experiment, Study, WrittenExperiment
from foldwise.study.tuned import tuned_options
from foldwise.tasks.sources import embedded_names

SCHEMA = SCHEMAS / "config.schema.json"
REMOVED = {
    ("engine", "seeds_together"): "every seed is trained in a job of its own",
    ("report", "bootstrap"): "intervals are no longer resampled",
}
"""Keys of version 0.1 that no longer exist, and why."""


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a config and resolve its recipes.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or a name that does not
            exist.
    """
    written = selected(config)
    _refuse_removed(written)
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
            _check_source(dataset, f"datasets.{name}")
    options = _options(
        {name: value for name, value in written["recipes"].items() if value is not None}
    )
    experiments = {
        name: Experiment(
            name=name, **{"replicates": declared.replicates, **_without_none(vars(entry))}
        )
        for name, entry in declared.experiments.items()
        if isinstance(entry, WrittenExperiment)
    }
    passes_of = {name: _names(value) for name, value in _taken(options, "passes_of").items()}
    weights = _taken(options, "soft_weights")
    recipes, searches = with_candidates(
        with_derived_epochs(
            {name: parse_any(entry, f"recipes.{name}") for name, entry in options.items()},
            passes_of,
            experiments,
            declared.copies.copies,
        ),
        weights,
    )
    recorded = parse_recorded(written, declared.experiments)
    parents = {name: entry.compare_with for name, entry in experiments.items()}
    mixed = parse_mixed(declared.experiments)
    parents |= {name: entry.compare_with for name, entry in mixed.items()}
    parents |= {name: entry.compare_with for name, entry in recorded.combinations.items()}
    study = Study(
        run=declared.run,
        task=declared.task,
        datasets=datasets,
        splits=with_defaults(declared.splits, written["splits"]),
        copies=with_defaults(declared.copies, written["copies"]),
        report=with_defaults(declared.report, written["report"]),
        recipes=recipes,
        passes_of=passes_of,
        searches=searches,
        experiments=experiments,
        recorded=recorded,
        mixed=mixed,
        views=with_defaults(declared.views, written["views"]),
        decisions=parse_decisions(declared.decisions, parents, named),
        series=parse_series(declared.series, experiments, named),
        force=declared.force,
        engine=declared.engine,
    )
    check_names(study)
    return study


def _refuse_removed(written: Mapping[str, Any]) -> None:
    for (block, key), why in REMOVED.items():
        if isinstance(inside := written.get(block), Mapping) and key in inside:
            raise FoldwiseError(
                f"this key no longer exists: {why}",
                where=f"{block}.{key}",
                hint="Delete it from the study file.",
            )


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_source(dataset: Dataset, where: str) -> None:
    if dataset.name is not None and dataset.source != "embedded":
        raise FoldwiseError(
            "a name belongs to source: embedded, and to no other",
            where=f"{where}.name",
            hint="Take it out, or change the source.",
        )
    if dataset.name is not None and dataset.name not in embedded_names():
        raise FoldwiseError(
            f"there is no embedded dataset {dataset.name!r}",
            where=f"{where}.name",
            hint=f"Allowed: {', '.join(embedded_names())}.",
        )
    if (dataset.source == "file") != (dataset.path is not None):
        raise FoldwiseError(
            "a path belongs to source: file, and to no other",
            where=f"{where}.path",
            hint="Give the path of a Matbench-format json.gz, or change the source.",
        )


def _options(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Written options of every recipe, with those of the recipes that it extends."""
    return {name: _extended(name, raw, ()) for name in raw}


def _taken(options: Mapping[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """A key's value by recipe; it is taken out of the options."""
    taken = {name: entry.pop(key, None) for name, entry in options.items()}
    return {name: value for name, value in taken.items() if value is not None}


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


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
    tuned = options.pop("tuned", None)
    if tuned is not None:
        options |= tuned_options(tuned, f"recipes.{name}.tuned")
    return options if base is None else {**_extended(base, raw, (*seen, name)), **options}
