"""A study of recorded teachers through Snakemake, on a complete small task with made-up files."""

import gzip
import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from paths import REPOSITORY
from recorded_files import NAMES, TASK, write_submissions, write_targets

RULES = ("mean", "stacked", "boosted")
ROOT = "results/recorded"


def study_file():
    shipped = REPOSITORY / "config" / "submissions_mp_e_form.yaml"
    content = yaml.safe_load(shipped.read_text())
    content |= {"run": "recorded", "task": TASK, "submissions": dict.fromkeys(NAMES)}
    dataset = content["datasets"].pop("matbench_mp_e_form")
    content["datasets"][TASK] = {**dataset, "column": "exfoliation_en", "unit": "meV/atom",
                                 "target_name": "exfoliation energy"}  # fmt: skip
    content["only"] = list(RULES)  # the median goes the way of the mean
    for experiment in content["experiments"].values():
        experiment["members"] = {"submissions": list(NAMES)}
    content["experiments"]["boosted"]["booster"] = {"iterations": 20, "composition": True}
    content["report"] = {"worst_n": 1}
    return content


def call(
    house, *arguments, flags=(), submissions="shared/my submissions", targets="shared/targets"
):
    given = [f"{key}={value}" for key, value in
             (("submissions_dir", submissions), ("targets_dir", targets)) if value]  # fmt: skip
    options = ["--config", *given] if given else []
    return house.call(
        "snakemake",
        *flags,
        "--cores",
        2,
        "--configfile",
        "recorded.yaml",
        *options,
        "--",
        *arguments,
    )


@pytest.fixture(scope="module")
def house(bare_house, tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded") / "house"
    shutil.copytree(bare_house.root, root, symlinks=True)
    write_submissions(
        root / "shared" / "my submissions", write_targets(root / "shared" / "targets")
    )
    (root / "recorded.yaml").write_text(json.dumps(study_file()))
    return type(bare_house)(root)


@pytest.fixture(scope="module")
def finished(house):
    done = call(house, f"{ROOT}/boosted/results.json", f"{ROOT}/RESULTS.md")
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def test_the_command_of_the_issue_makes_every_folder(finished):
    folder = finished.root / ROOT
    for rule in RULES:
        record = json.loads((folder / rule / "results.json").read_text())
        assert record["combination"]["rule"] == rule
        assert record["matbench"]["written"]
        for name in ("README.txt", "matbench/results.json.gz", "matbench/info.json",
                     "figures/members.png", "figures/parity.svg", "groups/_index.csv",
                     "diagnostics/review.json"):  # fmt: skip
            assert (folder / rule / name).stat().st_size
    assert "Beside published results" in (folder / "RESULTS.md").read_text()
    assert not list(folder.rglob("model.safetensors"))
    assert not (folder / "models").exists()


def test_a_second_call_has_nothing_to_do(finished):
    done = call(finished, f"{ROOT}/boosted/results.json")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_other_combinations_stay_when_one_changes(finished, tmp_path):
    content = study_file()
    content["experiments"]["boosted"]["booster"]["leaves"] = 7
    (finished.root / "recorded.yaml").write_text(json.dumps(content))
    done = call(finished, f"{ROOT}/RESULTS.md", flags=["-n"])
    (finished.root / "recorded.yaml").write_text(json.dumps(study_file()))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE))
    assert jobs["combine_submissions"] == "5"
    assert jobs["write_combination"] == "1"
    assert "read_submission" not in jobs


def test_poisoned_labels_of_a_fold_leave_its_answers_alone(finished, tmp_path):
    """Through the program: the files of fold 2 have the same bytes, those of fold 1 have not."""
    root = finished.root / ROOT
    targets = pd.read_parquet(root / "data" / TASK / "targets.parquet")
    names = [f"{root}/submissions/{TASK}/{name}/predictions.parquet" for name in NAMES]
    fold = pd.read_parquet(names[0]).set_index("id")["fold"].loc[targets["id"]].to_numpy()
    targets["target"] = np.where(fold == 2, 1e5, targets["target"])
    targets.to_parquet(tmp_path / "targets.parquet")
    for rule in ("stacked", "boosted"):
        for number in (1, 2):
            booster = '{"iterations": 20, "composition": true}'
            done = finished.program(
                "jobs/combine_submissions.py", "--targets", tmp_path / "targets.parquet", "--names",
                *NAMES, "--predictions", *names, "--fold", number, "--rule", rule, "--booster",
                booster, "--out", tmp_path / "test.parquet", "--out-json", tmp_path / "test.json",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            before = root / "ensembles" / rule / TASK / f"fold_{number}"
            same = (before / "test.parquet").read_bytes() == (
                tmp_path / "test.parquet"
            ).read_bytes()
            assert same == (number == 2)
            weights = [json.loads(path.read_text())["weights"] for path in
                       (before / "test.json", tmp_path / "test.json")]  # fmt: skip
            assert (weights[0] == weights[1]) == (number == 2 or rule == "boosted")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"submissions": "nowhere"}, "submissions_dir: the folder 'nowhere' does not exist"),
        ({"targets": "shared"}, f"targets_dir: there is no file 'shared/{TASK}.csv.gz'"),
        ({"submissions": "shared"}, "submissions.alpha: there is no file"),
    ],
)
def test_a_wrong_folder_stops_before_the_first_job(house, options, line):
    done = call(house, f"{ROOT}/mean/results.json", **options)
    assert done.returncode == 2
    said = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert len(said) == 1
    assert line in said[0]


def test_without_network_a_download_fails_in_one_line(house, tmp_path):
    done = house.call(
        "env", "https_proxy=http://127.0.0.1:9", sys.executable, "scripts/jobs/fetch_submission.py",
        "--name", "coGN", "--out", tmp_path / "results.json.gz",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (
        "error: submission coGN: it could not be downloaded from https://raw.github" in done.stderr
    )
    assert not list(tmp_path.iterdir())


def test_a_changed_submission_fails_with_its_name(finished, tmp_path):
    path = tmp_path / "results.json.gz"
    shutil.copy(finished.root / "shared" / "my submissions" / "gamma" / "results.json.gz", path)
    content = json.loads(gzip.decompress(path.read_bytes()))
    content["tasks"][TASK]["results"]["fold_0"]["scores"]["mae"] += 0.5
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    done = finished.program(
        "jobs/read_submission.py", "--submission", path, "--name", "gamma", "--task", TASK,
        "--targets", finished.root / ROOT / "data" / TASK / "targets.parquet",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: submission gamma: fold 0 states an MAE of")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
