import re
import subprocess
import sys

import pandas as pd
import pytest

from experiment_files import EXPERIMENTS, make_study
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.experiment.pages.summary import read_records, write_summary
from paths import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"
LINE = re.compile(
    r"- e\d_[0-9a-f]{8} \| demo_e_form \| MAE [\d.]+ ± [\d.]+ \| RMSE [\d.]+ \| p95 [\d.]+ \| "
    r"max [\d.]+ \| [\d.]+(s|min|h) \| .+"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("summary"))
    for name in EXPERIMENTS:
        write_experiment(load_inputs(study.paths(name), name), study.out(name))
    return study


def folders(study):
    return [study.out(name) for name in EXPERIMENTS]


def test_one_line_per_run_and_the_three_best(study, tmp_path):
    write_summary(folders(study), tmp_path / "RESULTS.md", tmp_path / "leaderboard.csv")
    text = (tmp_path / "RESULTS.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines)
    best = [line for line in text.splitlines() if re.match(r"\d\. ", line)]
    assert [line[3:5] for line in best] == ["E3", "E4", "E0"]
    assert text.count("presumably hold the test crystals") == 1
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert board["experiment"].tolist() == ["e0", "e4", "e3"]
    assert board["mae_mean"].is_monotonic_decreasing


def test_tasks_are_ranked_apart(study, tmp_path):
    other = tmp_path / "e0"
    record = read_json(study.out("e0") / "results.json")
    record["leakage"]["test_structures_presumably_seen"] = False
    write_json(
        other / "results.json", {**record, "task": "demo_e_hull", "config_id": "e0_00000000"}
    )
    write_summary([*folders(study), other], tmp_path / "a.md", tmp_path / "a.csv")
    assert "of demo_e_hull\n\n1. E0 (Single fine-tuned CHGNet)" in (tmp_path / "a.md").read_text()


def test_spoilt_records(study, tmp_path):
    with pytest.raises(FoldwiseError, match="given twice"):
        read_records([study.out("e0"), study.out("e0")])
    with pytest.raises(FoldwiseError, match="does not exist"):
        read_records([tmp_path])
    write_json(tmp_path / "results.json", {"config_id": "x"})
    with pytest.raises(FoldwiseError, match="does not follow the schema"):
        read_records([tmp_path])


def run(program, *arguments):
    command = [sys.executable, str(SCRIPTS / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def experiment_arguments(study, name):
    values = vars(study.paths(name))
    for key, value in values.items():
        yield f"--{key.replace('_', '-')}"
        yield from value if isinstance(value, list | tuple) else [value]


@pytest.mark.slow  # buys: both programs as the rules call them
def test_programs(study, tmp_path):
    done = run("jobs/write_experiment.py", "--experiment", "e4", *experiment_arguments(study, "e4"),
               "--command", "snakemake results/e4/results.json",
               "--out", tmp_path / "e4")  # fmt: skip
    assert done.returncode == 0, done.stderr
    readme = (tmp_path / "e4" / "README.txt").read_text()
    assert "[ok] counts: 61 crystals in; 59 predicted + 2 failures = 61" in readme
    assert "snakemake results/e4/results.json" in readme
    assert len(done.stdout.splitlines()) == 3
    assert "failure rate" in done.stdout
    assert str(tmp_path / "e4" / "README.txt") in done.stdout
    done = run("jobs/write_summary.py", "--experiments", tmp_path / "e4", "--out-markdown",
               tmp_path / "RESULTS.md", "--out-csv", tmp_path / "leaderboard.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_mistake_is_one_line_and_exit_code_2(study, tmp_path):
    done = run("jobs/write_summary.py", "--experiments", tmp_path / "none", "--out-markdown",
               tmp_path / "RESULTS.md", "--out-csv", tmp_path / "leaderboard.csv")  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")


def test_programs_import_no_network_code():
    code = (
        "import sys; import foldwise.experiment.job, foldwise.experiment.pages.summary;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'chgnet', 'pymatgen', 'sklearn')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False)
    assert done.returncode == 0
