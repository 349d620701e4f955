"""What cannot be had without a download or hours: made-up submissions, a tiny masked LM."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from foldwise.common.files import REPOSITORY, read_json, read_parquet, write_text
from foldwise.tasks.official import any_official_task, official_folds
from foldwise.tracking.record.registry import Registry
from maintenance.smoke.calls import ROOT, run, snakemake

TASK = "matbench_steels"  # the smallest official task
MEMBERS = ("made_up_a", "made_up_b")
BOARD = ROOT.with_name("smoke_board")
MLM = ROOT.parent / "mlm" / "smoke"
_FORMULAS = ("NaCl", "MgO", "Fe2O3", "SiO2", "Al2O3", "Na2O", "MgCl2")
_STEEL, _STEP = (1000.0, 2500.0), 20.0  # MPa
_CHECKPOINT = "mlm/checkpoint-4"


def recorded_teachers(cores: int) -> dict[str, bool]:
    """Two made-up submissions of an official task, through the leaderboard's study."""
    folder = ROOT / "made_up"
    targets = _write_targets(folder)
    for number, name in enumerate(MEMBERS):
        _write_submission(folder, name, targets, number)
    config = yaml.safe_load((REPOSITORY / "config" / "leaderboard.yaml").read_text("utf-8"))
    config |= {
        "run": BOARD.name,
        "task": TASK,
        "leaderboard": {"tasks": {TASK: {"low": 0}}},
        "datasets": {TASK: config["datasets"][TASK]},
        "report": {"worst_n": 1},
    }
    write_text(folder / "board.yaml", yaml.safe_dump(config))
    given = [f"submissions_dir={folder}", f"targets_dir={folder}"]
    run(snakemake(cores, "--config", *given, config=str(folder / "board.yaml")))
    return {"recorded teachers: their mean is the mean of their files": _is_the_mean(targets)}


def masked_lm(cores: int) -> dict[str, bool]:
    """A masked LM of seconds: trained, evaluated, and both of it in the registry."""
    config = yaml.safe_load((REPOSITORY / "config" / "mlm.yaml").read_text("utf-8"))
    model = config["models"]["demo"] | {
        "network": {"hidden": 16, "layers": 1, "heads": 2, "vocabulary": 2000, "max_length": 96},
        "mlm": {"steps": 4, "save_every": 4, "batch_size": 4, "lr": 1.0e-3},
        "entity": {"epochs": 1, "batch_size": 40, "lr": 1.0e-3, "patience": 2},
    }
    phases = [{"name": "mlm", "model": "smoke", "steps": [4]}]
    config |= {
        "models": {"smoke": model},
        "runs": {"smoke": {"samples": "law", "phases": phases}},
        "default_run": "smoke",
        "evaluation": config["evaluation"] | {"bootstrap": 200, "worst_n": 1},
    }
    path = ROOT / "made_up" / "mlm.yaml"
    write_text(path, yaml.safe_dump(config, allow_unicode=True))
    run(snakemake(cores, "--config", f"mlm_config={path}", "--", "mlm", config=None))
    scores = read_json(MLM / f"{_CHECKPOINT}_eval_results.json")
    summary = (MLM / "summary.md").read_text(encoding="utf-8")
    entries = Registry(ROOT.parent).entries().values()
    recorded = {entry["experiment"] for entry in entries if entry["status"] == "complete"}
    model = MLM.with_name("models") / MLM.name / "mlm"
    runs = {str(path.relative_to(REPOSITORY)) for path in (model, model / "checkpoint-4")}
    return {
        "masked LM: trained, and Real@1 between 0 and 1": 0 <= scores["real1"] <= 1,
        "masked LM: its summary names the checkpoint": f"`{_CHECKPOINT}`" in summary,
        "masked LM: training and evaluation are in the registry": runs <= recorded,
    }


def _write_targets(folder: Path) -> pd.Series:
    official = any_official_task(TASK)
    assert official is not None
    rows = range(official.n_samples)
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "mbid": [official.crystal_id(row) for row in rows],
            "composition": [_FORMULAS[row % len(_FORMULAS)] for row in rows],
            official.target: np.round(generator.uniform(*_STEEL, len(rows)), 1),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{TASK}.csv.gz", index=False)
    return table.set_index("mbid")[official.target]


def _write_submission(folder: Path, name: str, targets: pd.Series, number: int) -> None:
    official = any_official_task(TASK)
    assert official is not None
    generator = np.random.default_rng(1 + number)
    results = {}
    for fold, split in enumerate(official_folds(official)):
        error = generator.normal(0.0, _STEP * (1 + number), len(split["test"]))
        answers = targets.loc[split["test"]].to_numpy() + error
        results[f"fold_{fold}"] = {
            "data": dict(zip(split["test"], answers.tolist(), strict=True)),
            "scores": {"mae": float(np.abs(error).mean())},
            "parameters": {},
        }
    content = {
        "datestamp": "made up by the smoke study",
        "tasks": {TASK: {"dataset_name": TASK, "results": results}},
    }
    path = folder / name / "results.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))


def _is_the_mean(targets: pd.Series) -> bool:
    made = read_parquet(BOARD / TASK / "mean" / "predictions.parquet", ("id", "prediction"))
    answers = []
    for name in MEMBERS:
        content = json.loads(
            gzip.decompress((ROOT / "made_up" / name / "results.json.gz").read_bytes())
        )
        folds = content["tasks"][TASK]["results"].values()
        answers.append(pd.Series({row: value for fold in folds for row, value in
                                  fold["data"].items()}))  # fmt: skip
    mean = pd.concat(answers, axis=1).mean(axis=1).loc[made["id"]].to_numpy()
    return len(made) == len(targets) and bool(np.allclose(made["prediction"], mean))
