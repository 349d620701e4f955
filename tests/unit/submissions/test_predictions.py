import gzip
import json

import numpy as np
import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.submissions.download import fetch_submission, submission_url
from foldwise.submissions.predictions import (
    SCORE_TOLERANCE,
    read_submission,
    recorded_predictions,
    recorded_scores,
)
from paths import SHARED
from recorded_files import TASK, submission, target_table, write_submission

TARGETS = target_table().set_index("mbid")["exfoliation_en"]
GOOD = submission(TARGETS, 0)
FIRST = next(iter(GOOD["tasks"][TASK]["results"]["fold_2"]["data"]))

needs_data = pytest.mark.skipif(
    not (SHARED / "submissions").is_dir(), reason=f"{SHARED / 'submissions'} is not there"
)


def written(tmp_path, change=None):
    content = json.loads(json.dumps(GOOD))
    if change:
        change(content["tasks"][TASK]["results"])
    return write_submission(tmp_path / "results.json.gz", content)


def test_predictions_come_in_the_order_of_the_targets(tmp_path):
    read = read_submission(written(tmp_path), "alpha", TASK)
    ids = pd.Index(TARGETS.index[::-1])
    table = recorded_predictions(read, ids)
    assert table["id"].tolist() == list(ids)
    assert table["fold"].value_counts().tolist() == [128, 127, 127, 127, 127]
    for number in range(5):
        data = GOOD["tasks"][TASK]["results"][f"fold_{number}"]["data"]
        own = table[table["fold"] == number].set_index("id")["prediction"]
        assert own.to_dict() == data


def test_published_scores_are_computed_again(tmp_path):
    path = written(tmp_path)
    scores = recorded_scores(read_submission(path, "alpha", TASK), TARGETS)
    assert scores["verified"]
    assert scores["sha256"] == file_sha256(path)
    for fold in scores["folds"]:
        assert fold["recomputed_mae"] == pytest.approx(fold["published_mae"], abs=1e-12)


def test_a_fold_with_missing_targets_is_not_called_verified(tmp_path):
    read = read_submission(written(tmp_path), "alpha", TASK)
    some = TARGETS.iloc[: len(TARGETS) // 2]
    scores = recorded_scores(read, some)
    assert not scores["verified"]
    assert {fold["recomputed_mae"] for fold in scores["folds"]} == {None}
    assert len(recorded_predictions(read, pd.Index(some.index))) == len(some)


@pytest.mark.parametrize("off", [2 * SCORE_TOLERANCE, -2 * SCORE_TOLERANCE])
def test_another_score_than_the_stated_one_is_an_error(tmp_path, off):
    def change(results):
        results["fold_3"]["scores"]["mae"] += off

    read = read_submission(written(tmp_path, change), "alpha", TASK)
    with pytest.raises(FoldwiseError, match=r"submission alpha: fold 3 states an MAE of"):
        recorded_scores(read, TARGETS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("fold_4"), "fold_4 of matbench_jdft2d is missing"),
        (lambda r: r["fold_2"].pop("data"), "fold 2 has no predictions"),
        (lambda r: r["fold_2"]["data"].pop(FIRST), "127 official test rows and misses"),
        (lambda r: r["fold_2"]["data"].update(x=1.0), "official test rows and holds 'x'"),
        (lambda r: r["fold_2"]["data"].update({FIRST: None}), "1 prediction.s. that are no finite"),
        (lambda r: r["fold_2"]["data"].update({FIRST: True}), "no finite number"),
        (lambda r: r["fold_2"]["data"].update({FIRST: float("nan")}), "no finite number"),
        (lambda r: r["fold_1"].update(scores={}), "fold 1 states no MAE"),
    ],
)
def test_a_damaged_submission_is_named(tmp_path, change, message):
    path = written(tmp_path, change)
    with pytest.raises(FoldwiseError, match=message) as caught:
        read_submission(path, "alpha", TASK)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"{}", mtime=0), "no Matbench submission"),
        (gzip.compress(b"[1, 2", mtime=0), "not valid JSON"),
        (gzip.compress(b'{"tasks": {}}', mtime=0), f"has no {TASK}"),
        (gzip.compress(bytes(1000), mtime=0)[:-12], "truncated"),
        (b"{}", "no Matbench submission"),
        (b"{", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_submission_is_named(tmp_path, content, message):
    path = tmp_path / "results.json.gz"
    path.write_bytes(content)
    with pytest.raises(FoldwiseError, match=message):
        read_submission(path, "alpha", TASK)


def test_other_tasks_checksums_and_places_are_errors(tmp_path):
    path = written(tmp_path)
    with pytest.raises(FoldwiseError, match="no official Matbench task"):
        read_submission(path, "alpha", "demo_e_form")
    with pytest.raises(FoldwiseError, match="expected 00000000"):
        read_submission(path, "alpha", TASK, sha256="0" * 64)
    with pytest.raises(FoldwiseError, match=r"other\.json\.gz: .*submissions_dir"):
        read_submission(tmp_path / "other.json.gz", "alpha", TASK)


def test_a_download_is_checked_before_it_is_there(tmp_path):
    path = written(tmp_path)
    out = tmp_path / "cache" / "results.json.gz"
    with pytest.raises(FoldwiseError, match="submission alpha: what was downloaded has the sha256"):
        fetch_submission("alpha", out, sha256="0" * 64, url=path.as_uri())
    assert not list(out.parent.iterdir())
    assert fetch_submission("alpha", out, sha256=file_sha256(path), url=path.as_uri())
    assert out.read_bytes() == path.read_bytes()


def test_without_network_one_line_says_where_to_put_the_file(tmp_path):
    with pytest.raises(FoldwiseError) as caught:
        fetch_submission("coGN", tmp_path / "results.json.gz", url="http://127.0.0.1:9/x")
    line = str(caught.value)
    assert "could not be downloaded from http://127.0.0.1:9/x" in line
    assert "Put it into a folder as coGN/results.json.gz" in line
    assert "\n" not in line
    assert submission_url("coGN").endswith("benchmarks/matbench_v0.1_coGN/results.json.gz")


@pytest.mark.slow  # buys: published scores, recomputed from official files
@needs_data
@pytest.mark.parametrize(
    ("task", "published"),
    [
        ("matbench_mp_e_form", {"coNGN": 0.0178, "alignn": 0.0215}),
        ("matbench_mp_gap", {"coNGN": 0.1697, "alignn": 0.1861, "DeeperGATGNN": 0.1694}),
    ],
)
def test_real_submissions_state_scores_that_are_true(task, published):
    table = pd.read_csv(SHARED / "targets" / f"{task}.csv.gz")
    targets = table.set_index(table.columns[0])[table.columns[2]]
    for name, mae in published.items():
        read = read_submission(SHARED / "submissions" / name / "results.json.gz", name, task)
        scores = recorded_scores(read, targets)
        assert scores["verified"]
        recomputed = np.mean([fold["recomputed_mae"] for fold in scores["folds"]])
        assert recomputed == pytest.approx(scores["published_mae_mean"], abs=1e-4)
        assert round(recomputed, 4) == mae
