"""All checkpoints of a run on one page."""

import filecmp

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.job import EvaluationSettings
from foldwise.mlm.job import SingleRun, evaluate_one
from foldwise.mlm.report.places import folder_of
from foldwise.mlm.report.summary import read_results, write_summary


def test_a_run_on_one_page(trained, sample_file, tmp_path):
    out, _ = trained
    folders = []
    depth = (None, None, (), 1, 200, tmp_path / "cache")
    for step in (4, 8):
        checkpoint = str(out / f"checkpoint-{step}")
        run = SingleRun(checkpoint, tmp_path / "mlm", sample_file, *depth)
        evaluate_one(run, EvaluationSettings(device="cpu"))
        folders.append(folder_of(checkpoint, tmp_path / "mlm"))
    names = ["mlm/checkpoint-4", "mlm/checkpoint-8"]

    def summarise(place):
        write_summary("t", folders, compare=names, resamples=200, out=place / "summary.md",
                      command="snakemake")  # fmt: skip

    summarise(tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert "## Before and after: mlm/checkpoint-4 and mlm/checkpoint-8" in text
    assert "composite score: not measured" in text
    assert "None" not in text
    assert "nan" not in text
    table = pd.read_csv(tmp_path / "summary.csv")
    assert set(table["name"]) == set(names)
    assert (tmp_path / "figures" / "learning_curve.svg").exists()
    summarise(tmp_path / "again")
    for name in ("summary.md", "summary.csv", "figures/learning_curve.png"):
        assert filecmp.cmp(tmp_path / name, tmp_path / "again" / name, shallow=False)
    with pytest.raises(FoldwiseError, match="unknown checkpoint"):
        write_summary(
            "t", folders, compare=["a", "b"], resamples=200, out=tmp_path / "x.md", command=""
        )
    limited = SingleRun(str(out / "checkpoint-4"), tmp_path / "few", sample_file, *depth)
    evaluate_one(limited, EvaluationSettings(limit=30, device="cpu"))
    with pytest.raises(FoldwiseError, match="different samples"):
        read_results([folders[1], tmp_path / "few" / "checkpoint-4_eval"])
