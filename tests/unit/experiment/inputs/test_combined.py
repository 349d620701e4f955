"""The folder of an experiment that combines recorded teachers, and the official files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matbench.bench import MatbenchBenchmark
from pymatgen.core import Composition
from scipy import linalg

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_csv, write_json, write_parquet
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.schema import check_record
from foldwise.experiment.inputs.types import InputPaths
from foldwise.experiment.job import write_experiment
from foldwise.experiment.pages.summary import results_markdown
from foldwise.submissions.combination import combine_fold, read_members
from foldwise.submissions.predictions import read_submission, recorded_predictions, recorded_scores
from foldwise.submissions.settings import BoosterOptions
from foldwise.tasks.duplicates.nearness import count_formula_duplicates
from foldwise.tasks.splits import make_fold
from foldwise.tasks.targets import TargetSpec, prepare_targets
from recorded_files import NAMES, TASK, submission, write_submission, write_targets

pytestmark = pytest.mark.slow  # buys: recorded teachers, from official files to a folder

OPTIONS = BoosterOptions(iterations=20, rows_per_leaf=5)
FIGURES = {"parity", "error_distribution", "error_by_target", "members"}


class Study:
    """A study of three made-up submissions on disk; `rows` of the task's 636."""

    def __init__(self, root: Path, rows: int = 636, lost: tuple[str, ...] = ()) -> None:
        self.root, self.lost = root, list(lost)
        reasons = [[name, "graphs", "isolated", "1 isolated atom"] for name in lost]
        columns = ["id", "stage", "reason", "detail"]
        write_csv(root / "graph_failures.csv", pd.DataFrame(reasons, columns=columns))
        self.true = write_targets(root)
        spec = TargetSpec(TASK, None, "meV/atom", True, "exfoliation energy")
        prepare_targets(spec, root / f"{TASK}.csv.gz", root)
        table = pd.read_parquet(root / "targets.parquet").iloc[:rows]
        write_parquet(root / "targets.parquet", table)
        card = read_json(root / "card.json")
        write_json(root / "card.json", {**card, "n_source": rows, "n_accepted": rows})
        splits = [make_fold(table, TASK, fold, n_holdouts=2) for fold in range(5)]
        for split in splits:
            write_json(root / f"fold_{split.fold}.json", split.as_json())
        write_json(root / "duplicates.json", count_formula_duplicates(table, splits))
        for number, name in enumerate(NAMES):
            path = write_submission(root / f"{name}.gz", submission(self.true, number))
            read = read_submission(path, name, TASK)
            known = table.set_index("id")["target"]
            write_json(root / f"{name}.json", recorded_scores(read, known))
            write_parquet(root / f"{name}.parquet", recorded_predictions(read, known.index))

    def make(self, rule: str, parents: tuple[str, ...] = ()) -> Path:
        recipe = {
            "members": list(NAMES), "combine": rule, "sha256": dict.fromkeys(NAMES),
            "booster": vars(OPTIONS) if rule == "boosted" else None,
        }  # fmt: skip
        config = {
            "experiment": rule, "title": f"{rule} of three", "purpose": "What is it worth?",
            "task": TASK, "recipe_name": rule, "recipe": recipe, "seeds": [], "tta": 1,
            "folds": list(range(5)), "parents": list(parents), "run": "test",
            "report": {"worst_n": 1},
        }  # fmt: skip
        write_json(self.root / f"{rule}.config.json", config)
        members = read_members(
            self.root / "targets.parquet", {name: self.root / f"{name}.parquet" for name in NAMES}
        )
        for fold in range(5):
            table, done = combine_fold(members, fold, rule, OPTIONS)
            write_parquet(self.root / f"{rule}_{fold}.parquet", table)
            write_json(self.root / f"{rule}_{fold}.json", {**done, "fit_seconds": 0.5})
        for path in [*self.root.glob(f"{rule}_?.parquet"), *map(self.predictions, NAMES)]:
            table = pd.read_parquet(path)
            write_parquet(path, table[~table["id"].isin(self.lost)])
        write_experiment(load_inputs(self.paths(rule, parents), rule), self.out(rule), "again")
        return self.out(rule)

    def predictions(self, name: str) -> Path:
        return self.root / f"{name}.parquet"

    def paths(self, rule: str, parents: tuple[str, ...] = ()) -> InputPaths:
        root, folds = self.root, range(5)
        return InputPaths(
            config=root / f"{rule}.config.json",
            targets=root / "targets.parquet",
            card=root / "card.json",
            dataset_failures=root / "failures.csv",
            graph_failures=root / "graph_failures.csv",
            duplicates=root / "duplicates.json",
            splits=[root / f"fold_{fold}.json" for fold in folds],
            ensembles=[root / f"{rule}_{fold}.parquet" for fold in folds],
            compare=[self.out(parent) for parent in parents],
            submissions=[root / f"{name}.json" for name in NAMES],
            submission_predictions=[root / f"{name}.parquet" for name in NAMES],
            combinations=[root / f"{rule}_{fold}.json" for fold in folds],
        )

    def out(self, rule: str) -> Path:
        return self.root / "results" / rule


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = Study(tmp_path_factory.mktemp("complete"))
    made.make("median")
    made.make("stacked", ("median",))
    made.make("boosted", ("median", "stacked"))
    return made


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    made = Study(tmp_path_factory.mktemp("part"), rows=400)
    made.make("stacked")
    return made


@pytest.mark.parametrize("rule", ["median", "stacked", "boosted"])
def test_the_record_has_no_fit_and_says_what_was_combined(study, rule):
    record = read_json(study.out(rule) / "results.json")
    check_record(record, rule)
    assert record["fit"] is None
    assert record["seed"] is None
    assert record["seeds"] == []
    block = record["combination"]
    assert block["rule"] == rule
    assert [member["name"] for member in block["members"]] == list(NAMES)
    assert all(member["verified"] for member in block["members"])
    for fold in block["folds"]:
        fitted = [] if rule == "median" else sorted(set(range(5)) - {fold["fold"]})
        assert fold["fitted_on_folds"] == fitted
        assert (fold["weights"] is not None) == (rule == "stacked")
    assert record["compute"]["num_params"] is None
    assert record["compute"]["wall_time_sec"] >= 2.5
    assert "trained on this fold's labels (cross-fold)" in record["leakage"]["statement"]
    assert record["leakage"]["recorded_teachers"]["members"] == list(NAMES)
    assert record["leakage"]["duplicates"]["same_structure"] is None
    assert {member["name"] for member in record["ensemble"]["members"]} == set(NAMES)
    assert record["provenance"]["command"] == "again"


def test_the_prediction_is_that_of_the_combination(study):
    table = pd.read_parquet(study.out("stacked") / "predictions.parquet").set_index("id")
    for fold in range(5):
        ensemble = pd.read_parquet(study.root / f"stacked_{fold}.parquet").set_index("id")
        assert table.loc[ensemble.index, "prediction"].equals(ensemble["mean"].rename("prediction"))
        assert table.loc[ensemble.index, "std"].equals(ensemble["std"])


def test_the_folder_is_complete_without_what_needs_structures(study):
    folder = study.out("boosted")
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    index = pd.read_csv(folder / "groups" / "_index.csv")
    assert set(index["kind"]) == {"anion_family", "n_elements", "target_quintile"}
    group = folder / "groups" / index["group"][0]
    columns = set(pd.read_csv(group / "predictions.csv").columns)
    assert {f"prediction_{name}" for name in NAMES} < columns
    assert "spacegroup" not in pd.read_csv(group / "per_sample.csv").columns
    text = next(group.rglob("summary.txt")).read_text()
    assert "  alpha: " in text
    assert "prediction of STACKED" in text
    assert "space group" not in text
    review = read_json(folder / "diagnostics" / "review.json")
    # The made-up members are far better than anything published, and the review says so.
    failed = [check["name"] for check in review["checks"] if check["passed"] is False]
    assert failed == ["not too good beside published results"]
    assert "15 published fold scores computed again" in str(review["checks"])


def test_the_readme_describes_the_members_and_their_weights(study):
    text = (study.out("stacked") / "README.txt").read_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "\n\n\n" not in text
    flat = " ".join(text.split())
    assert "Nothing was trained here" in flat
    assert "weighted mean of 3 recorded models" in flat
    assert "HiGHS" in flat
    assert "stops early" not in flat
    record = read_json(study.out("stacked") / "results.json")
    weights = [fold["weights"][0] for fold in record["combination"]["folds"]]
    line = next(line for line in text.splitlines() if line.startswith("  alpha"))
    assert line.split()[2:] == [f"{weight:.3f}" for weight in weights]
    assert "STACKED (this run)" in text
    assert "MODNet (v0.1.12)" in text
    assert "It is a combination of such results" in flat
    assert "Apart from that ranking, pretrained: 29.1880 MODNet@MatterVial." in flat
    boosted = (study.out("boosted") / "README.txt").read_text()
    assert "recorded models" in " ".join(boosted.split())


def unpacked(folder, tmp_path):
    plain = tmp_path / "results.json"
    plain.write_bytes(gzip.decompress((folder / "matbench" / "results.json.gz").read_bytes()))
    return plain


@pytest.mark.parametrize("rule", ["median", "boosted"])
def test_a_complete_task_is_a_submission_that_matbench_reads_back(study, tmp_path, rule):
    folder = study.out(rule)
    record = read_json(folder / "results.json")
    assert record["matbench"] == {
        "written": True,
        "files": ["matbench/results.json.gz", "matbench/info.json"],
        "reason": None,
    }
    benchmark = MatbenchBenchmark.from_file(str(unpacked(folder, tmp_path)))
    assert benchmark.is_valid
    assert benchmark.is_recorded
    scores = benchmark.scores[TASK]
    assert scores["mae"]["mean"] == pytest.approx(
        record["metrics"]["aggregate"]["mae_mean"], rel=1e-12
    )
    assert scores["mae"]["std"] == pytest.approx(
        record["metrics"]["aggregate"]["mae_std"], rel=1e-12
    )
    for fold in record["metrics"]["folds"]:
        recorded = benchmark.tasks_map[TASK].results[f"fold_{fold['fold']}"]
        assert recorded["scores"]["mae"] == pytest.approx(fold["mae"], rel=1e-12)
        assert recorded["scores"]["rmse"] == pytest.approx(fold["rmse"], rel=1e-12)
    info = read_json(folder / "matbench" / "info.json")
    needed = {"authors", "algorithm", "algorithm_long", "bibtex_refs", "notes", "requirements"}
    assert set(info) == needed
    assert "cross-fold" in info["notes"]


def test_a_crystal_without_a_graph_does_not_cost_the_submission(tmp_path):
    lost = ("mb-jdft2d-007", "mb-jdft2d-400")
    made = Study(tmp_path, lost=lost)
    folder = made.make("median")
    record = read_json(folder / "results.json")
    block = record["metrics"]["fallback"]
    assert record["matbench"]["written"]
    assert (block["rows"], record["metrics"]["aggregate"]["n"]) == (2, 634)
    rows = pd.read_csv(folder / "diagnostics" / "fallback.csv").set_index("id")
    assert set(rows.index) == set(lost)
    benchmark = MatbenchBenchmark.from_file(str(unpacked(folder, tmp_path)))
    assert benchmark.is_valid
    assert benchmark.scores[TASK]["mae"]["mean"] == pytest.approx(block["mae_mean_all_rows"])
    for name, row in rows.iterrows():
        data = benchmark.tasks_map[TASK].results[f"fold_{row['fold']}"]["data"]
        assert data[name] == pytest.approx(row["prediction"])
        # An element reference by scipy's least squares on the fold's training rows.
        known = pd.read_parquet(tmp_path / "targets.parquet").set_index("id")
        train = known.loc[read_json(tmp_path / f"fold_{row['fold']}.json")["train"]]
        reference = linear_reference(train, row["formula"])
        assert row["prediction"] == pytest.approx(reference, rel=1e-3)
    text = " ".join((folder / "README.txt").read_text().split())
    assert block["statement"] in text


def linear_reference(train, formula):
    tables = [Composition(each).fractional_composition for each in [*train["formula"], formula]]
    elements = sorted({element for each in tables for element in each})
    matrix = np.array([[each[element] for element in elements] for each in tables])
    weights = linalg.lstsq(matrix[:-1], train["target"].to_numpy())[0]
    return float(matrix[-1] @ weights)


def test_our_own_submission_is_a_recorded_teacher_again(study):
    """What is written can be a member of the next study."""
    path = study.out("boosted") / "matbench" / "results.json.gz"
    read = read_submission(path, "ours", TASK)
    assert recorded_scores(read, study.true)["verified"]


def test_equal_inputs_give_equal_submission_bytes(study):
    first = (study.out("median") / "matbench" / "results.json.gz").read_bytes()
    study.make("median")
    assert (study.out("median") / "matbench" / "results.json.gz").read_bytes() == first


def test_an_incomplete_task_writes_no_submission_and_says_why(part):
    folder = part.out("stacked")
    reason = (
        f"400 of the 636 rows of {TASK} have a prediction; the leaderboard takes complete tasks "
        "only."
    )
    record = read_json(folder / "results.json")
    assert record["matbench"] == {"written": False, "files": [], "reason": reason}
    assert not (folder / "matbench").exists()
    text = (folder / "README.txt").read_text()
    assert reason in " ".join(text.split())
    assert "Published results" not in text
    assert not any(member["verified"] for member in record["combination"]["members"])
    assert "could not be computed again" in " ".join(text.split())


def test_results_md_places_complete_runs_only(study, part):
    records = [read_json(study.out(rule) / "results.json") for rule in ("median", "boosted")]
    text = results_markdown(records)
    assert "## Beside published results" in text
    assert "BOOSTED: Among the 5 published results of models trained from scratch" in text
    assert "must not be ranked beside those of models trained from scratch" in text
    assert text.count("It is a combination of such results") == 1
    alone = results_markdown([read_json(part.out("stacked") / "results.json")])
    assert "Beside published results" not in alone


def test_files_of_another_study_are_refused(study, tmp_path):
    paths = vars(study.paths("median"))
    scores = read_json(study.root / "alpha.json")
    write_json(tmp_path / "alpha.json", {**scores, "task": "matbench_phonons"})
    other = [tmp_path / "alpha.json", *paths["submissions"][1:]]
    with pytest.raises(FoldwiseError, match="its task is 'matbench_phonons'"):
        load_inputs(InputPaths(**{**paths, "submissions": other}), "median")
    with pytest.raises(FoldwiseError, match="2 and 3 files"):
        load_inputs(InputPaths(**{**paths, "submissions": paths["submissions"][1:]}), "median")
    swapped = {
        key: [paths[key][k] for k in (1, 0, 2)] for key in ("submissions", "submission_predictions")
    }
    with pytest.raises(FoldwiseError, match="the files hold teachers"):
        load_inputs(InputPaths(**{**paths, **swapped}), "median")
    table = pd.read_parquet(study.root / "alpha.parquet").iloc[1:]
    write_parquet(tmp_path / "alpha.parquet", table)
    short = [tmp_path / "alpha.parquet", *paths["submission_predictions"][1:]]
    with pytest.raises(FoldwiseError, match="misses"):
        load_inputs(InputPaths(**{**paths, "submission_predictions": short}), "median")


def test_metrics_are_those_of_the_written_predictions(study):
    record = read_json(study.out("boosted") / "results.json")
    table = pd.read_parquet(study.out("boosted") / "predictions.parquet")
    maes = table.groupby("fold")["abs_error"].mean()
    np.testing.assert_allclose(
        [fold["mae"] for fold in record["metrics"]["folds"]], maes, rtol=0, atol=1e-12
    )
    assert json.dumps(record["hyperparams"])
