"""Write the site of a study: one page, its data in pieces, everything it needs beside it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet, replaced_folder
from foldwise.common.output import check_replaceable
from foldwise.experiment.inputs.types import Json
from foldwise.site.data.scripts import write_script
from foldwise.site.data.tables import (
    MEMBER_SHARD,
    SHARD,
    structure_twins,
    write_answers,
    write_copies,
    write_rows,
    write_structures,
)
from foldwise.site.pages.assets import copy_assets, read_manifest, render_index
from foldwise.site.pages.calls import calls_page
from foldwise.site.pages.experiment import experiment_page
from foldwise.site.pages.masked_lm import masked_lm_pages
from foldwise.site.pages.overview import overview
from foldwise.site.reading.comparisons import all_pairs, recorded_comparisons
from foldwise.site.reading.curves import training_curves
from foldwise.site.reading.experiments import ExperimentFolder, read_experiments
from foldwise.site.reading.runs import read_runs

CONTENT = ("index.html", "assets", "data", "files")


@dataclass(frozen=True)
class SitePaths:
    """What a site is made of.

    Attributes:
        root: `results`, or `results/{run}`; holds models, logs, registry and masked-LM results.
        experiments: Experiment folders, in the config's order.
        targets: The dataset's `targets.parquet`.
        card: The dataset's `card.json`.
        structures: Its `structures.npz`, if it has structures.
        duplicates: `duplicates.csv` of the splits, if structures were matched.
    """

    root: Path
    experiments: Sequence[Path]
    targets: Path
    card: Path
    structures: Path | None = None
    duplicates: Path | None = None


def write_site(paths: SitePaths, out: Path) -> Path:
    """Write the folder `out`, replacing an older site only when the new one is complete.

    Returns:
        Its `index.html`.

    Raises:
        FoldwiseError: An input is missing or broken, or `out` holds other things.
    """
    check_replaceable(out, CONTENT)
    experiments = read_experiments(paths.experiments)
    _check_one_task(experiments)
    targets = read_parquet(paths.targets, ("id", "formula", "target", "n_atoms"))
    with replaced_folder(out, CONTENT) as site:
        copy_assets(site)
        table = write_rows(site, targets, experiments)
        ids = [str(name) for name in table.index]
        for experiment in experiments:
            write_answers(site, paths.root, experiment, table)
        crystals = _write_crystals(site, paths, ids, experiments)
        pairs = all_pairs(experiments)
        write_script(site, "pairs", pairs)
        runs = read_runs(paths.root)
        write_script(site, "runs", runs)
        pages = _write_experiments(site, paths.root, experiments, ids)
        checkpoints = masked_lm_pages(site, paths.root)
        view = overview(experiments)
        card = read_json(paths.card)
        write_script(site, "study", _study(card, experiments, view, crystals, pages))
        context = {
            "card": card,
            "study": experiments[0].config.get("run") or "",
            "view": view,
            "experiments": pages,
            "runs": runs,
            "checkpoints": checkpoints,
            "libraries": read_manifest(),
            "rows": len(ids),
            "tested": int((table["fold"] >= 0).sum()),
        }
        (site / "index.html").write_text(render_index(context), encoding="utf-8")
    return out / "index.html"


def _check_one_task(experiments: Sequence[ExperimentFolder]) -> None:
    tasks = sorted({str(each.record["task"]) for each in experiments})
    if len(tasks) > 1:
        raise FoldwiseError(
            f"the experiments are of {len(tasks)} tasks ({', '.join(tasks)})",
            where="--experiments",
            hint="Make one site per task.",
        )


def _write_crystals(
    site: Path, paths: SitePaths, ids: list[str], experiments: Sequence[ExperimentFolder]
) -> Json:
    """Structures, near-copies and labelled copies; what there is of them, for the page."""
    structures = write_structures(site, ids, paths.structures) if paths.structures else 0
    write_script(site, "twins", structure_twins(paths.duplicates))
    return {
        "rows": len(ids),
        "structures": structures,
        "shard": SHARD,
        "member_shard": MEMBER_SHARD,
        "matched": paths.duplicates is not None,
        "copies": _write_labelled_copies(site, paths, ids, experiments),
    }


def _write_labelled_copies(
    site: Path, paths: SitePaths, ids: list[str], experiments: Sequence[ExperimentFolder]
) -> list[str]:
    """The copies that students learned from; the names of those students."""
    task = str(experiments[0].record["task"])
    place = paths.root / "data" / task / "copies" / "structures.npz"
    students = [
        each
        for each in experiments
        if each.record["hyperparams"].get("teacher.targets") == "augmented"
    ]
    labels = [
        path
        for teacher in sorted({each.record["hyperparams"]["teacher.ensemble"] for each in students})
        for path in sorted(
            (paths.root / "ensembles" / teacher / task).glob("fold_*/copies.parquet")
        )
    ]
    if not labels or not place.is_file():
        return []
    answers = pd.concat([read_parquet(path, ("id", "mean", "std")) for path in labels])
    mean = answers.groupby("id", as_index=False)[["mean", "std"]].mean()
    write_copies(site, ids, place, mean)
    return [each.name for each in students]


def _write_experiments(
    site: Path, root: Path, experiments: Sequence[ExperimentFolder], ids: Sequence[str]
) -> list[Json]:
    comparisons = recorded_comparisons(experiments)
    pages = []
    for experiment in experiments:
        curves = training_curves(root, experiment)
        write_script(site, f"curves_{experiment.name}", curves)
        page = experiment_page(root, experiment, comparisons, curves)
        page["calls"] = calls_page(site, experiment, ids)
        for entry in page["downloads"]:
            target = site / entry["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry["source"], target)
        pages.append(page)
    return pages


def _study(
    card: Json,
    experiments: Sequence[ExperimentFolder],
    view: Json,
    crystals: Json,
    pages: Sequence[Json],
) -> Json:
    """What the scripts need at once: names, errors, comparisons, and which pieces there are."""
    return {
        "task": experiments[0].record["task"],
        "unit": experiments[0].record["unit"],
        "quantity": str(card["target_name"]).replace("_", " "),
        "crystals": crystals,
        "comparisons": view["comparisons"],
        "experiments": [
            {
                "name": each.name,
                "title": each.record["title"],
                "mae": each.mae,
                "interval": each.record["metrics"]["pooled"]["interval"],
                "n": each.record["metrics"]["pooled"]["rows"],
                "seen": each.seen,
                "statement": each.record["leakage"]["statement"],
                "cost": view["costs"][each.name],
                "device": each.record["compute"]["device"],
                "passes": each.record["compute"]["inference"]["passes_per_prediction"],
                "members": each.record["ensemble"] is not None,
                "views": each.record["hyperparams"].get("tta", 1),
                "groups": each.groups.fillna(0.0).to_dict("records"),
                "recorded": each.record["combination"] is not None,
                "calls": page["calls"],
            }
            for each, page in zip(experiments, pages, strict=True)
        ],
    }
