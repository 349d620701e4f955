"""A small study with everything that a site can show, on disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiment_files import EXPERIMENTS, N_FOLDS, SEEDS, TASK, Study, make_study
from foldwise.common.files import read_json, write_csv, write_json, write_parquet
from foldwise.crystals.files import write_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.site.job import SitePaths
from foldwise.tracking.record.lifecycle import complete, fail, start
from foldwise.tracking.record.registry import Registry
from tracking_files import CLEAN, make_config

# No slash is in it, so it is an id that a dataset may have.
HOSTILE = "<img src=x onerror=document.title='broken'>"
HOSTILE_REASON = "<script>document.title='broken'</script> ran out of memory"
HOSTILE_OUTPUT = "<img src=x onerror=document.title='broken'> I cannot say."
PROMPT = "<b>Formula</b>: {formula}\nformation energy in eV/atom?"
ASKED, UNREAD_EVERY = "e0", 12
TWIN, TRAINED = "demo-0010", "demo-0011"
FAILED, RUNNING = "e5", "e6"
LOG_TAIL = ["step 3/9  loss 0.1  0.200 s/step  elapsed 0:01  ETA 0:02", "Killed"]


@dataclass(frozen=True)
class SiteStudy:
    """Where it lies, and what `write_site` is told."""

    study: Study
    paths: SitePaths

    @property
    def results(self) -> Path:
        return self.study.root / "results"


def make_site_study(root: Path, rows: int = 60) -> SiteStudy:
    """E0, E3 and E4 on `rows` crystals, one of a hostile id, with models, runs and checkpoints."""
    study = make_study(root, rows)
    calls = _write_calls(study)
    worst = _worst_oxide(study)
    for path in sorted(root.rglob("*")):
        _rename(path, worst, HOSTILE)
    for name in EXPERIMENTS:
        command = f"snakemake --cores 2 results/{name}/results.json"
        inputs = replace(study.paths(name), raw_outputs=calls if name == ASKED else [])
        write_experiment(load_inputs(inputs, name), study.out(name), command)
    results = root / "results"
    _place_models(study, results)
    _write_crystals(root)
    _write_runs(results)
    write_checkpoint(results)
    paths = SitePaths(
        root=results,
        experiments=[study.out(name) for name in EXPERIMENTS],
        targets=root / "targets.parquet",
        card=root / "card.json",
        structures=root / "structures.npz",
        duplicates=root / "duplicates.csv",
    )
    return SiteStudy(study, paths)


def _write_calls(study: Study) -> list[Path]:
    """Raw outputs as if a language model had given E0's answers, every twelfth without a number."""
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")
    median = float(targets["target"].median())
    paths = []
    for fold in range(N_FOLDS):
        table = pd.read_parquet(study.model("baseline", fold, 0) / "test.parquet")
        known = targets.loc[table["id"]]
        read = (np.arange(len(table)) + fold) % UNREAD_EVERY > 0
        value = table["prediction"].round(2)
        raw = pd.DataFrame(
            {
                "id": table["id"],
                "input_text": [PROMPT.format(formula=each) for each in known["formula"]],
                "input_tokens": 21,
                "output_text": np.where(read, value.map("{:+.2f}".format), HOSTILE_OUTPUT),
                "finish_reason": np.where(read, "format", "length"),
                "output_tokens": 5,
                "parse_status": np.where(read, "ok", "no number"),
                "value": value.where(read),
                "fold": np.int32(fold),
                "subset": "test",
                "ground_truth": known["target"].to_numpy(),
                "prediction": value.where(read, median),
                "seed": np.int32(0),
            }
        )
        paths.append(study.root / "calls" / f"fold_{fold}" / "raw_outputs.parquet")
        write_parquet(paths[-1], raw)
    return paths


def _worst_oxide(study: Study) -> str:
    """The oxide on which the student errs most: its id stands in every table."""
    targets = pd.read_parquet(study.root / "targets.parquet").set_index("id")
    folders = [study.model("student", fold, 0) for fold in range(N_FOLDS)]
    answers = pd.concat([pd.read_parquet(folder / "test.parquet") for folder in folders])
    error = (answers.set_index("id")["prediction"] - targets["target"]).abs()
    return str(error[targets["anion_family"] == "oxide"].idxmax())


def _rename(path: Path, old: str, new: str) -> None:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        if "id" in table:
            write_parquet(path, table.assign(id=table["id"].replace(old, new)))
    elif path.suffix == ".json" and path.name.startswith("fold_"):
        path.write_text(path.read_text().replace(old, new))


def _place_models(study: Study, results: Path) -> None:
    for recipe, seeds in (("baseline", SEEDS), ("student", (0,))):
        for fold in range(N_FOLDS):
            for seed in seeds:
                place = results / "models" / recipe / TASK / f"fold_{fold}" / f"seed_{seed}"
                shutil.copytree(study.model(recipe, fold, seed), place)
                (place / "training.log").write_text(f"[12:00:00] fold {fold} seed {seed} done\n")


def _write_crystals(root: Path) -> None:
    ids = [str(name) for name in pd.read_parquet(root / "targets.parquet")["id"]]
    rock_salt = CrystalArrays(
        numbers=np.array([11, 17]),
        frac=np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
        lattice=2.82 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]),
    )
    write_structures(root / "structures.npz", ids, [rock_salt] * len(ids))
    pair = [0, TWIN, TRAINED, "structure", "Li2O", 0.01]
    columns = ["fold", "test_id", "train_id", "kind", "formula", "target_difference"]
    write_csv(root / "duplicates.csv", pd.DataFrame([pair], columns=columns))


def _write_runs(results: Path) -> None:
    """E0, E3, E4 complete, E5 failed, E6 running with a job at work."""
    registry = Registry(results)
    configs: dict[str, dict[str, Any]] = {
        name: read_json(results / name / "config.json") for name in EXPERIMENTS
    }
    configs |= {name: make_config(name, lr=0.01) for name in (FAILED, RUNNING)}
    failure = {
        "kind": "out_of_memory", "reason": HOSTILE_REASON, "rule": "train_model", "outputs": [],
        "exit_status": 137, "log": "results/logs/train.log", "log_tail": LOG_TAIL, "host": "here",
    }  # fmt: skip
    with registry.change() as change:
        for name, config in configs.items():
            folder = registry.folder(f"{name}_run")
            start(change, folder, config, code=CLEAN, command="snakemake --cores 2")
            if name in EXPERIMENTS:
                complete(change, folder, results / name)
        fail(change, f"{FAILED}_run", failure)
    log = results / "logs" / "train.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("[12:00:00] step 40/100  loss 0.3  0.100 s/step  elapsed 0:04  ETA 0:06\n")
    jobs = [
        {"rule": "make_splits", "outputs": ["results/e0/results.json"], "logs": []},
        {"rule": "train_model", "outputs": ["results/none"], "logs": ["results/logs/train.log"]},
    ]
    session = {"workdir": str(results.parent), "runs": {RUNNING: {"identity": f"{RUNNING}_run",
                                                                   "jobs": jobs}}}  # fmt: skip
    write_json(registry.runs / ".sessions" / "here_1.json", session)


def write_checkpoint(results: Path, samples: int = 40) -> None:
    """The result folder of a masked-LM checkpoint, as far as the site reads it."""
    folder = results / "mlm" / "demo" / "entity" / "checkpoint-best_eval"
    hit1 = np.arange(samples) >= samples - 5
    hit5 = np.arange(samples) >= samples - 10
    rate = {"value": 0.125, "interval": [0.05, 0.2]}
    write_json(
        folder / "results.json",
        {
            "metrics": {"real1": rate, "real5": {"value": 0.25, "interval": [0.1, 0.4]},
                        "floor": {"real1": 0.1, "real5": 0.5}, "lambada_top1": None,
                        "reference": {"real1": rate, "real5": rate}},
            "provenance": {"command": "snakemake --cores 2 mlm"},
        },
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "id": [f"law-{number}" for number in range(samples)],
            "source": "law",
            "noun": "법률",
            "prediction": "제도",
            "top5": "제도 <b>법률</b> 국가 기관 정부",
            "hit1": hit1,
            "hit5": hit5,
            "rank": np.where(hit1, 1, 99),
            "answer_probability": np.linspace(0.0, 0.9, samples),
            "input_text": "[CLS] 이 [MASK] 은 국가 기관 에 적용 한다 [SEP]",
        }
    )
    write_parquet(folder / "predictions.parquet", table)
