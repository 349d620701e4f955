import gzip
import json

import numpy as np
import pandas as pd
import pytest

from board_files import (
    CLASSES,
    STEELS,
    results_of,
    submission_of,
    targets_of,
    write_plain,
)
from foldwise.common.errors import FoldwiseError
from foldwise.submissions.board.members import find_submissions, read_members
from foldwise.submissions.board.rows import read_rows
from recorded_files import write_submission

TARGETS = {task: targets_of(task) for task in (STEELS, CLASSES)}
TRUE = {task: table.set_index("mbid").iloc[:, -1] for task, table in TARGETS.items()}
GOOD = submission_of({task: results_of(task, TRUE[task], 0) for task in TRUE})
FIRST = next(iter(GOOD["tasks"][STEELS]["results"]["fold_1"]["data"]))


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    paths = {}
    for task, table in TARGETS.items():
        paths[task] = folder / f"{task}.parquet"
        renamed = table.rename(columns={"mbid": "id", "composition": "formula"})
        renamed.columns = ["id", "formula", "target"]
        renamed.astype({"target": float}).to_parquet(paths[task])
    return paths


def read(tmp_path, targets, checksums=None):
    return read_members(
        find_submissions(tmp_path / "in"), targets, checksums or {}, tmp_path / "out"
    )


def changed(change):
    """A copy of a good submission of another number, with a defect."""
    content = json.loads(
        json.dumps(submission_of({task: results_of(task, TRUE[task], 1) for task in TRUE}))
    )
    change(content["tasks"][STEELS]["results"], content)
    return content


def as_lists(results, _):
    for fold in results.values():
        fold["data"] = {row: [value] for row, value in fold["data"].items()}


def in_official_order(results, _):
    for fold in results.values():
        fold["data"] = list(fold["data"].values())


def other_order(results, content):
    backwards = dict(reversed(list(results.items())))
    for fold in backwards.values():
        fold["data"] = dict(reversed(list(fold["data"].items())))
    content["tasks"][STEELS]["results"] = backwards


def other_numbers(results, content):
    content["tasks"][STEELS]["results"] = {
        f"fold_{(int(name[-1]) + 1) % 5}": fold for name, fold in results.items()
    }


def bare_numbers(results, content):
    content["tasks"][STEELS]["results"] = {name[-1]: fold for name, fold in results.items()}


def as_a_list_of_folds(results, content):
    content["tasks"][STEELS]["results"] = list(results.values())


def string_parameters(results, _):
    for fold in results.values():
        fold["parameters"] = "lr=0.1"


@pytest.mark.parametrize(
    "shape",
    [
        as_lists, in_official_order, other_order, other_numbers, bare_numbers, as_a_list_of_folds,
        string_parameters,
    ],
)  # fmt: skip
def test_other_shapes_are_read_and_give_the_same_numbers(tmp_path, targets, shape):
    write_submission(tmp_path / "in" / "good" / "results.json.gz", GOOD)
    write_submission(tmp_path / "in" / "odd" / "results.json.gz", changed(shape))
    census = read(tmp_path, targets)
    assert census.refused == []
    assert census.members[STEELS] == ["good", "odd"]
    rows = read_rows(tmp_path / "out" / STEELS / "members.parquet", STEELS, classification=False)
    expected = changed(lambda *_: None)["tasks"][STEELS]["results"]
    for number, fold in enumerate(expected.values()):
        own = dict(zip(rows.ids, rows.values[:, 1], strict=True))
        assert {row: own[row] for row in fold["data"]} == fold["data"]
        assert {rows.fold[rows.ids == row].item() for row in fold["data"]} == {number}
    noted = [entry["note"] for entry in census.notes]
    assert noted == (["its folds are numbered in another order"] if shape is other_numbers else [])


def test_uncompressed_files_bare_files_and_long_names_are_found(tmp_path, targets):
    write_plain(tmp_path / "in" / "matbench_v0.1_plain" / "results.json.gz", GOOD)
    write_plain(tmp_path / "in" / "json" / "results.json", changed(lambda *_: None))
    other = submission_of({STEELS: results_of(STEELS, TRUE[STEELS], 2)})
    write_submission(tmp_path / "in" / "bare (v1.0).json.gz", other)
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    (tmp_path / "in" / "empty").mkdir()
    census = read(tmp_path, targets)
    assert census.members[STEELS] == ["bare (v1.0)", "json", "plain"]
    assert census.members[CLASSES] == ["json", "plain"]
    assert census.refused == []


def drop_row(results, _):
    results["fold_1"]["data"].pop(FIRST)


def not_a_number(results, _):
    results["fold_1"]["data"][FIRST] = float("nan")


def labels_for_numbers(results, _):
    results["fold_1"]["data"][FIRST] = True


def two_values(results, _):
    results["fold_1"]["data"][FIRST] = [1.0, 2.0]


def wrong_ids(results, _):
    results["fold_1"]["data"]["mb-steels-999"] = results["fold_1"]["data"].pop(FIRST)


def no_fold(results, _):
    results.pop("fold_4")


def other_score(results, _):
    results["fold_3"]["scores"]["mae"] += 0.5


def same_fold_twice(results, _):
    results["fold_0"] = results["fold_1"]


def no_scores(results, _):
    results["fold_2"]["scores"] = {}


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        (drop_row, f"fold 1 has 62 of 63 official test rows and misses '{FIRST}'"),
        (not_a_number, "fold 1 has 1 prediction(s) that are no finite number, the first for"),
        (labels_for_numbers, "fold 1 has 1 prediction(s) that are no finite number"),
        (two_values, "fold 1 has 1 prediction(s) that are no finite number"),
        (wrong_ids, "fold 1 has 62 of 63 official test rows and misses"),
        (no_fold, "fold_4 of matbench_steels is missing"),
        (other_score, "fold 3 states an MAE of"),
        (same_fold_twice, "two of its folds hold the test rows of the same official fold"),
        (no_scores, "fold 2 states no MAE"),
    ],
)  # fmt: skip
def test_a_defect_refuses_the_task_by_name_and_the_others_go_on(tmp_path, targets, defect, reason):
    write_submission(tmp_path / "in" / "good" / "results.json.gz", GOOD)
    write_submission(tmp_path / "in" / "odd" / "results.json.gz", changed(defect))
    census = read(tmp_path, targets)
    assert census.members == {STEELS: ["good"], CLASSES: ["good", "odd"]}
    assert [(entry["name"], entry["task"]) for entry in census.refused] == [("odd", STEELS)]
    assert census.refused[0]["reason"].startswith(reason)
    assert not (tmp_path / "out" / STEELS / "odd").exists()


def broken(content):
    return gzip.compress(json.dumps(content).encode())[:-20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (broken(GOOD), "the file is truncated"),
        (b"<html>404</html>", "it is not valid JSON"),
        (b"[1, 2]", "the file is no Matbench submission"),
        (
            json.dumps(submission_of({"matbench_other": {}})).encode(),
            "it has no task of this study (its tasks: matbench_other)",
        ),
        (gzip.compress(json.dumps(GOOD).encode(), mtime=0), "the same file as good"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(tmp_path, targets, content, reason):
    (tmp_path / "in" / "good").mkdir(parents=True)
    (tmp_path / "in" / "odd").mkdir()
    whole = gzip.compress(json.dumps(GOOD).encode(), mtime=0)
    (tmp_path / "in" / "good" / "results.json.gz").write_bytes(whole)
    (tmp_path / "in" / "odd" / "results.json.gz").write_bytes(content)
    census = read(tmp_path, targets)
    assert census.members == {STEELS: ["good"], CLASSES: ["good"]}
    assert [(entry["name"], entry["task"]) for entry in census.refused] == [("odd", None)]
    assert census.refused[0]["reason"].startswith(reason)
    assert list(census.files) == ["good"]


def test_labels_and_probabilities_of_a_class_are_read_and_others_are_not(tmp_path, targets):
    def probabilities(_, content):
        for fold in content["tasks"][CLASSES]["results"].values():
            fold["data"] = {row: 0.9 if value else 0.2 for row, value in fold["data"].items()}

    def outside(_, content):
        fold = content["tasks"][CLASSES]["results"]["fold_0"]
        fold["data"] = {row: 3.0 if value else -2.0 for row, value in fold["data"].items()}

    write_submission(tmp_path / "in" / "labels" / "results.json.gz", GOOD)
    write_submission(tmp_path / "in" / "logits" / "results.json.gz", changed(outside))
    write_submission(tmp_path / "in" / "soft" / "results.json.gz", changed(probabilities))
    census = read(tmp_path, targets)
    assert census.members[CLASSES] == ["labels", "soft"]
    assert census.refused[0]["reason"] == "fold 0 has class predictions outside of 0 to 1"
    rows = read_rows(tmp_path / "out" / CLASSES / "members.parquet", CLASSES, classification=True)
    assert set(np.unique(rows.values[:, 0])) == {0.0, 1.0}
    assert set(np.unique(rows.values[:, 1])) == {0.2, 0.9}


def test_another_checksum_than_the_configs_is_said(tmp_path, targets):
    write_submission(tmp_path / "in" / "good" / "results.json.gz", GOOD)
    census = read(tmp_path, targets, {"good": "0" * 64})
    assert census.members[STEELS] == ["good"]
    assert census.notes[0]["note"].endswith("the config names 000000000000…")


def test_without_a_single_member_the_study_stops_with_the_reasons(tmp_path, targets):
    write_plain(tmp_path / "in" / "odd" / "results.json.gz", {"tasks": {}})
    with pytest.raises(FoldwiseError, match=r"none of 1 submissions can be used \(odd: it has no"):
        read(tmp_path, targets)


def test_a_task_without_members_has_an_empty_table(tmp_path, targets):
    only = submission_of({STEELS: results_of(STEELS, TRUE[STEELS], 0)})
    write_submission(tmp_path / "in" / "only" / "results.json.gz", only)
    read(tmp_path, targets)
    table = tmp_path / "out" / CLASSES / "members.parquet"
    assert read_rows(table, CLASSES, classification=True) is None
    assert len(pd.read_parquet(table)) == len(TRUE[CLASSES])


def test_a_wrong_folder_and_a_name_twice_are_errors(tmp_path):
    with pytest.raises(FoldwiseError, match=r"submissions_dir: the folder .* does not exist"):
        find_submissions(tmp_path / "none")
    write_plain(tmp_path / "x" / "results.json", {})
    write_plain(tmp_path / "matbench_v0.1_x" / "results.json", {})
    with pytest.raises(FoldwiseError, match="have the same name 'x'"):
        find_submissions(tmp_path)


def test_a_folder_that_is_called_like_a_column_is_refused(tmp_path, targets):
    for name in ("good", "target", "fold"):
        write_submission(tmp_path / "in" / name / "results.json.gz", GOOD)
    census = read(tmp_path, targets)
    assert [entry["name"] for entry in census.refused] == ["fold", "target"]
    written = pd.read_parquet(tmp_path / "out" / STEELS / "members.parquet")
    true = pd.read_parquet(targets[STEELS])
    assert written["target"].tolist() == true["target"].tolist()
