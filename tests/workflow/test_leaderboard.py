"""The whole leaderboard through Snakemake: three small tasks, odd and defective submissions."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from matbench.task import MatbenchTask

from board_files import CLASSES, STEELS, results_of, submission_of, write_plain, write_targets_of
from crystal_files import cesium_chloride
from paths import REPOSITORY
from recorded_files import write_submission

ROOT = "results/leaderboard"
PHONONS = "matbench_phonons"


def study_file():
    """The shipped study, cut down to a task of numbers, one of classes and one without members."""
    content = yaml.safe_load((REPOSITORY / "config" / "leaderboard.yaml").read_text())
    tasks = (STEELS, CLASSES, PHONONS)
    return content | {
        "task": STEELS,
        "leaderboard": {"tasks": {STEELS: {"low": 0}, CLASSES: None, PHONONS: None}},
        "datasets": {task: content["datasets"][task] for task in tasks},
        "report": {"worst_n": 1},
    }


def phonon_table(folder):
    table = pd.DataFrame(
        {
            "mbid": [f"mb-phonons-{row + 1:04d}" for row in range(1265)],
            "composition": ["Na1 Cl1", "Mg1 O1", "Si1 O2", "Al2 O3", "Ga1 N1"] * 253,
            "last phdos peak": 1.0,
        }
    )
    table.to_csv(folder / f"{PHONONS}.csv.gz", index=False)


@pytest.fixture(scope="module")
def finished(bare_house, tmp_path_factory):
    root = tmp_path_factory.mktemp("board") / "house"
    shutil.copytree(bare_house.root, root, symlinks=True)
    house = type(bare_house)(root)
    targets = {
        task: write_targets_of(root / "shared" / "targets", task) for task in (STEELS, CLASSES)
    }
    phonon_table(root / "shared" / "targets")
    crystals = {
        "index": ["mb-phonons-0001"],
        "columns": ["structure"],
        "data": [[cesium_chloride()]],
    }
    dataset = root / "shared" / "crystals" / f"{PHONONS}.json"
    dataset.parent.mkdir()
    dataset.write_text(json.dumps(crystals))
    given = root / "shared" / "submissions"
    for number, name in enumerate(("alpha", "matbench_v0.1_beta-2", "gamma (new)")):
        found = {task: results_of(task, true, number) for task, true in targets.items()}
        write = write_plain if number == 1 else write_submission
        write(given / name / "results.json.gz", submission_of(found))
    bad = results_of(STEELS, targets[STEELS], 3)
    row = next(iter(bad["fold_2"]["data"]))
    bad["fold_2"]["data"][row] = float("nan")
    write_submission(given / "nan" / "results.json.gz", submission_of({STEELS: bad}))
    write_submission(given / "other" / "results.json.gz", submission_of({"matbench_x": {}}))
    (root / "board.json").write_text(json.dumps(study_file()))
    done = call(house, "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def call(house, *flags, structures="shared/crystals"):
    return house.call(
        "snakemake", *flags, "--cores", 2, "--configfile", "board.json", "--config",
        "submissions_dir=shared/submissions", "targets_dir=shared/targets",
        f"structures_dir={structures}",
    )  # fmt: skip


def test_the_table_has_every_rule_with_its_interval(finished):
    table = pd.read_csv(finished.root / ROOT / "LEADERBOARD.csv")
    assert list(table.columns) == [
        "task", "rule", "metric", "value", "low", "high", "best_published", "source", "chosen",
    ]  # fmt: skip
    assert set(table["task"]) == {STEELS, CLASSES}
    assert table[table["chosen"]]["task"].tolist() == [STEELS, CLASSES]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    steels = table[table["task"] == STEELS].set_index("rule")
    assert {"best_member", "mean", "median", "stacked", "boosted", "two_level"} <= set(steels.index)
    assert set(steels["best_published"]) == {79.9468}
    assert steels["source"].iloc[0].startswith("TPOT-Mat: Matbench v0.1 leaderboard")


def test_crystals_are_described_where_a_task_has_them(finished):
    (described,) = (finished.root / ROOT / "structures").iterdir()
    assert described.name == f"{PHONONS}.parquet"
    assert pd.read_parquet(described)["id"].tolist() == ["mb-phonons-0001"]


def test_the_largest_task_is_combined_first(finished):
    plan = call(finished, "-n", "--forcerun", "combine_board_task").stdout
    jobs = re.findall(r"^rule combine_board_task:\n(?:    .+\n)+", plan, re.MULTILINE)
    found = {
        re.search(r"task=(\w+)", job)[1]: int(re.search(r"priority: (\d+)", job)[1]) for job in jobs
    }
    assert sorted(found, key=found.get) == [STEELS, PHONONS, CLASSES]


def test_the_scheduler_looks_for_work_only_when_a_job_has_ended(finished):
    first = min((finished.root / ".snakemake" / "log").iterdir())
    log = first.read_text()
    assert 10 < log.count("Ready jobs: ") <= log.count("Finished jobid: ") + 1


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("shared/targets", "there is no dataset of any of the 3 tasks in 'shared/targets'. Put"),
        ("nowhere", "the folder 'nowhere' does not exist. Correct it, or leave it out."),
    ],
)
def test_a_folder_without_crystals_is_refused(finished, folder, said):
    done = call(finished, "-n", structures=folder)
    assert done.returncode == 2
    assert f"error: config: structures_dir: {said}" in done.stderr


def test_every_value_follows_from_the_predictions_beside_it(finished):
    root = finished.root / ROOT
    for line in pd.read_csv(root / "LEADERBOARD.csv").itertuples():
        rows = pd.read_parquet(root / line.task / line.rule / "predictions.parquet")
        assert {"id", "fold", "target", "prediction"} <= set(rows.columns)
        folds = []
        for _, fold in rows.groupby("fold"):
            if line.metric == "mae":
                folds.append((fold["prediction"] - fold["target"]).abs().mean())
            else:
                right = (fold["prediction"] > 0.5) == (fold["target"] > 0.5)
                folds.append(right.groupby(fold["target"]).mean().mean())
        assert len(folds) == 5
        assert np.mean(folds) == pytest.approx(line.value, rel=1e-6)


def test_each_step_is_seen_on_the_inner_folds_and_reported_on_the_test_folds(finished):
    table = pd.read_csv(finished.root / ROOT / "STEPS.csv").set_index(["task", "rule"])
    assert table.loc[STEELS].index.tolist()[:4] == ["mean", "median", "stacked", "boosted"]
    assert table.loc[STEELS].index[-1] == "chosen"
    combined = json.loads(
        (finished.root / ROOT / "combined" / STEELS / "combined.json").read_text()
    )
    for rule, step in table.loc[STEELS].iterrows():
        errors = []
        for name in (step["after"], rule):
            rows = pd.read_parquet(finished.root / ROOT / STEELS / name / "predictions.parquet")
            errors.append(
                (rows.set_index("id")["prediction"] - rows.set_index("id")["target"]).abs()
            )
        assert step["gain"] == pytest.approx((errors[0] - errors[1]).mean(), abs=1e-5)
        assert step["low"] <= step["gain"] <= step["high"]
        if rule != "chosen":
            losses = combined["inner_loss"].values()
            seen = np.mean([by_rule[step["after"]] - by_rule[rule] for by_rule in losses])
            assert step["seen"] == pytest.approx(seen)
    assert table.loc[(STEELS, "chosen"), "seen"] >= 0


def test_the_page_of_the_repository_is_made_from_the_table(finished, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- leaderboard: board.json -->\n<!-- end -->\n")
    done = finished.program("maintenance/write_readme_tables.py", "--page", page)
    assert done.returncode == 0, done.stderr
    lines = page.read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[3:-1]] == ["steels", "expt_is_metal"]
    assert lines[3].startswith("| steels | MAE, MPa | 79.9468 (TPOT-Mat) |")
    value = pd.read_csv(finished.root / ROOT / "LEADERBOARD.csv").query("chosen")["value"].iloc[0]
    assert f"| {value:.4f} [" in next(line for line in lines if line.startswith("| steels"))
    assert (
        finished.program("maintenance/write_readme_tables.py", "--check", "--page", page).returncode
        == 0
    )


def test_odd_submissions_are_members_and_defective_ones_are_named(finished):
    page = (finished.root / ROOT / "LEADERBOARD.md").read_text()
    assert "Members: alpha, beta-2, gamma (new)." in page
    assert "- nan, matbench_steels: refused, fold 2 has 1 prediction(s) that are no finite" in page
    assert "- other: refused, it has no task of this study (its tasks: matbench_x)" in page
    assert "- coNGN: named in the config, not in the folder" in page
    assert f"No submission has {PHONONS}; nothing was combined there." in page


def test_complete_tasks_have_official_files(finished):
    for task in (STEELS, CLASSES):
        folder = finished.root / ROOT / task / "chosen"
        content = json.loads((folder / "results.json").read_text())
        assert "cross-fold" in json.dumps(content["leakage"])
        packed = pd.read_json(folder / "matbench" / "results.json.gz", typ="series")
        MatbenchTask.from_dict(packed["tasks"][task]).validate()
        assert "cross-fold" in " ".join((folder / "README.txt").read_text().split())


def test_a_second_call_has_nothing_to_do(finished):
    done = call(finished)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_folder_without_submissions_stops_before_the_first_job(finished, tmp_path):
    (finished.root / "nothing").mkdir()
    done = finished.call(
        "snakemake", "--cores", 1, "--configfile", "board.json", "--config",
        "submissions_dir=nothing", "targets_dir=shared/targets",
        "structures_dir=shared/crystals",
    )  # fmt: skip
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == [
        "error: config: submissions_dir: there is no submission in 'nothing'. "
        "Put {name}/results.json.gz of Matbench submissions there."
    ]
